// A disk in memory whose power can be cut. Everything can be read at once; durable is of a file what was there at its
// last fsync or fdatasync, and of a directory the names that it held at its own last fsync. At a power cut, whatever
// was not durable gets a fate of its own, in no order: it survives, is lost, or, if it is a write, is torn, blank or
// garbage. Only a rename is never half done. That is less than any journaling file system promises, on purpose.
//
// What operations there are, and when the machine dies, is `volatile-file-system.ts`.

/** Uniform between 0 and 1. */
export type Random = () => number;

/** Random numbers that are the same for the same seed (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of the items. */
export function pick<T>(random: Random, items: readonly [T, ...T[]]): T {
  return items[Math.floor(random() * items.length)] ?? items[0];
}

type Edit = { at: number; bytes: Buffer } | { length: number };

function edited(data: Buffer, edit: Edit): Buffer {
  const length = 'length' in edit ? edit.length : Math.max(data.length, edit.at + edit.bytes.length);
  const result = Buffer.alloc(length);
  data.copy(result);
  if ('bytes' in edit) edit.bytes.copy(result, edit.at);
  return result;
}

export class FileNode {
  readonly ino: number;
  mode: number;
  data: Buffer = Buffer.alloc(0);
  #durable: Buffer = this.data;
  #edits: Edit[] = [];

  constructor(ino: number, mode: number) {
    this.ino = ino;
    this.mode = mode;
  }

  edit(edit: Edit): void {
    this.data = edited(this.data, edit);
    this.#edits.push(edit);
  }

  sync(): void {
    this.#durable = this.data;
    this.#edits = [];
  }

  /** The power is cut: `survival` is how likely each edit is to be there afterwards. Returns what became of them. */
  cut(random: Random, survival: number): string[] {
    const fates: string[] = [];
    this.data = this.#durable;
    for (const edit of this.#edits) {
      const [fate, left] = random() < survival ? ['kept', edit] : spoiled(edit, random);
      if (left) this.data = edited(this.data, left);
      const what = 'length' in edit ? `cut to ${edit.length}` : `${edit.bytes.length} bytes at ${edit.at}`;
      fates.push(`${what}: ${fate}`);
    }
    this.sync();
    return fates;
  }
}

function spoiled(edit: Edit, random: Random): [fate: string, left: Edit | undefined] {
  if ('length' in edit) return ['lost', undefined];
  const { at, bytes } = edit;
  const fate = pick(random, ['lost', 'lost', 'torn', 'blank', 'garbage']);
  switch (fate) {
    case 'torn':
      return [fate, { at, bytes: bytes.subarray(0, Math.floor(random() * bytes.length)) }];
    case 'blank':
      return [fate, { at, bytes: Buffer.alloc(bytes.length) }];
    case 'garbage':
      return [
        fate,
        { at, bytes: Buffer.from(bytes.map((_, i) => (i % 16 === 15 ? 0x0a : 0x21 + (i % 90)))) },
      ];
    default:
      return [fate, undefined];
  }
}

export type Node = FileNode | DirectoryNode;
/** Names of one directory that change together. */
type EntryChange = ReadonlyMap<string, Node | undefined>;

function change(entries: Map<string, Node>, changed: EntryChange): void {
  for (const [name, node] of changed) {
    if (node) entries.set(name, node);
    else entries.delete(name);
  }
}

export class DirectoryNode {
  readonly ino: number;
  entries = new Map<string, Node>();
  #durable = new Map<string, Node>();
  #changes: EntryChange[] = [];

  constructor(ino: number) {
    this.ino = ino;
  }

  change(...names: [name: string, node: Node | undefined][]): void {
    const changed = new Map(names);
    change(this.entries, changed);
    this.#changes.push(changed);
  }

  sync(): void {
    this.#durable = new Map(this.entries);
    this.#changes = [];
  }

  /** The power is cut: `survival` is how likely each change is to be there afterwards. Returns what became of them. */
  cut(random: Random, survival: number): string[] {
    const fates: string[] = [];
    this.entries = new Map(this.#durable);
    for (const changed of this.#changes) {
      const isKept = random() < survival;
      if (isKept) change(this.entries, changed);
      const what = [...changed].map(([name, node]) => `${node ? '+' : '-'}${name}`).join(' ');
      fates.push(`${what}: ${isKept ? 'kept' : 'lost'}`);
    }
    this.sync();
    return fates;
  }

  /** Every node that a power cut could still bring back, or that is there. */
  *within(): Generator<Node> {
    const changed = this.#changes.flatMap((each) => [...each.values()]);
    for (const node of new Set([...this.entries.values(), ...this.#durable.values(), ...changed])) {
      if (!node) continue;
      yield node;
      if (node instanceof DirectoryNode) yield* node.within();
    }
  }
}

export class VolatileDisk {
  readonly root = new DirectoryNode(1);
  /** Open files: an inode number is not used again while one of them has it. */
  readonly held = new Set<Node>();

  /** The lowest number that nothing has: like ext4, which uses them again at once. */
  freeInode(): number {
    const used = new Set([1, ...[...this.root.within(), ...this.held].map(({ ino }) => ino)]);
    for (let ino = 2; ; ino++) if (!used.has(ino)) return ino;
  }

  /** Cuts the power; returns what became of everything that was not durable. */
  cutPower(random: Random): string[] {
    const likelihoods = [0, 0.5, 0.9, 1] as const;
    const data = pick(random, likelihoods);
    const names = pick(random, likelihoods);
    const fates: string[] = [];
    const done = new Set<Node>();
    const cut = (node: Node, path: string): void => {
      if (done.has(node)) return;
      done.add(node);
      const survival = node instanceof FileNode ? data : names;
      fates.push(...node.cut(random, survival).map((fate) => `${path}: ${fate}`));
      if (node instanceof DirectoryNode)
        for (const [name, child] of node.entries) cut(child, `${path === '/' ? '' : path}/${name}`);
    };
    cut(this.root, '/');
    return fates;
  }

  /** The content of every file below a directory, by its path relative to it, sorted. */
  files(path: string): Map<string, Buffer> {
    const found: [string, Buffer][] = [];
    const collect = (directory: DirectoryNode, prefix: string): void => {
      for (const [name, node] of directory.entries) {
        if (node instanceof FileNode) found.push([prefix + name, node.data]);
        else collect(node, `${prefix}${name}/`);
      }
    };
    const node = this.find(path);
    if (node instanceof DirectoryNode) collect(node, '');
    return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of path.split('/').filter((each) => each !== '')) {
      node = node instanceof DirectoryNode ? node.entries.get(name) : undefined;
    }
    return node;
  }

  /** Makes a directory, or a file with this content, durably: what others than Headgate write is not at stake. */
  place(path: string, data?: Buffer): void {
    const at = path.lastIndexOf('/');
    if (!this.find(path.slice(0, at))) this.place(path.slice(0, at));
    const parent = this.find(path.slice(0, at));
    if (!(parent instanceof DirectoryNode)) throw new Error(`no directory for ${path}`);
    const name = path.slice(at + 1);
    const there = parent.entries.get(name);
    const node =
      there ?? (data ? new FileNode(this.freeInode(), 0o600) : new DirectoryNode(this.freeInode()));
    if (node instanceof FileNode && data) {
      node.data = data;
      node.sync();
    }
    parent.change([name, node]);
    parent.sync();
  }

  /** Renames a file within its directory, or, without a new name, removes it: durably. */
  move(path: string, name?: string): void {
    const at = path.lastIndexOf('/');
    const parent = this.find(path.slice(0, at));
    const node = this.find(path);
    if (!(parent instanceof DirectoryNode) || !node) throw new Error(`nothing at ${path}`);
    parent.change([path.slice(at + 1), undefined]);
    if (name !== undefined) parent.change([name, node]);
    parent.sync();
  }
}
