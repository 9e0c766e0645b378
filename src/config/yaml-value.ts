// A YAML node tree as a plain value. Aliases are followed within bounds, `${ENV}` is put in, and what JSON has no
// word for is a fault: tags, keys that are no words, keys set twice. A part with a fault becomes `undefined`.
import { isAlias, isMap, isSeq } from 'yaml';
import type { Alias, LineCounter, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Fault } from '../event/fault.js';
import { expandEnv } from './expand-env.js';
import type { Environment } from './expand-env.js';
import { keyText, offsetInFile, startOf } from './yaml-nodes.js';

/** How deep lists and mappings may be in each other. */
export const MAX_DEPTH = 50;
/**
 * Parts that a file may have once its aliases are followed; a file with more characters than this may have as
 * many parts as characters, which no file without aliases exceeds.
 */
const MAX_EXPANDED_PARTS = 10_000;

export interface YamlValue {
  /** Shared parts (aliases) are shared objects. */
  value: unknown;
  /** Nodes whose value is `undefined` because of a fault. */
  broken: ReadonlySet<Node>;
  /** What each alias stands for. */
  targets: ReadonlyMap<Alias, Node>;
  /** Scalars whose value is not what is written, and the variables that were put in. */
  expanded: ReadonlyMap<Node, readonly string[]>;
  /** In the order of the file, each with its offset in it. */
  faults: readonly { fault: Fault; offset: number }[];
}

/** `text` and `lines` are of the file that `root` was parsed from. */
export function readYamlValue(root: Node, text: string, lines: LineCounter, env: Environment): YamlValue {
  const reader = new ValueReader(text, lines, env);
  const { value } = reader.read(root, 0);
  const { broken, targets, expanded, faults } = reader;
  return { value, broken, targets, expanded, faults };
}

/** A plain value, and of how many parts it is with its aliases followed. */
interface Sized {
  value: unknown;
  size: number;
}

class ValueReader {
  readonly broken = new Set<Node>();
  readonly targets = new Map<Alias, Node>();
  readonly expanded = new Map<Node, readonly string[]>();
  readonly faults: { fault: Fault; offset: number }[] = [];
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #env: Environment;
  /** What an alias of each name stands for at this point of the file. */
  readonly #anchors = new Map<string, Node>();
  readonly #read = new Map<Node, Sized>();

  constructor(text: string, lines: LineCounter, env: Environment) {
    this.#text = text;
    this.#lines = lines;
    this.#env = env;
  }

  read(node: Node, depth: number): Sized {
    if (isAlias(node)) return this.#aliasValue(node);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    const sized = this.#readAnew(node, depth);
    this.#read.set(node, sized);
    return sized;
  }

  #readAnew(node: Exclude<Node, Alias>, depth: number): Sized {
    if (node.tag !== undefined && !/^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/.test(node.tag)) {
      return this.#break(node, 'CONFIG_SYNTAX', 'YAML tags are not used in pipeline files');
    }
    if (depth > MAX_DEPTH) return this.#break(node, 'CONFIG_SYNTAX', `nested more than ${MAX_DEPTH} deep`);
    if (isMap(node)) return this.#mapValue(node, depth);
    if (isSeq(node)) return this.#listValue(node, depth);
    return { value: this.#scalarValue(node), size: 1 };
  }

  #aliasValue(alias: Alias): Sized {
    const target = this.#anchors.get(alias.source);
    if (!target) {
      return this.#break(alias, 'CONFIG_SYNTAX', `no anchor \`&${alias.source}\` stands before this alias`);
    }
    this.targets.set(alias, target);
    const message = `the alias \`*${alias.source}\` stands inside of what it stands for`;
    return this.#read.get(target) ?? this.#break(alias, 'CONFIG_ALIASES', message);
  }

  #mapValue(map: YAMLMap, depth: number): Sized {
    const entries = new Map<string, unknown>();
    const firstLines = new Map<string, number>();
    let size = 1;
    for (const pair of map.items) {
      const key = keyText(pair, this.#text);
      if (key === undefined) return this.#breakByKey(map, pair);
      const keyOffset = startOf(pair.key as Node);
      const firstLine = firstLines.get(key);
      if (firstLine !== undefined) {
        const message = `\`${key}\` is already set on line ${firstLine}`;
        const hint = 'take one of the two away';
        this.faults.push({ fault: { code: 'CONFIG_DUPLICATE_KEY', message, hint }, offset: keyOffset });
        continue;
      }
      firstLines.set(key, this.#lines.linePos(keyOffset).line);
      const value = pair.value as Node | null;
      const sized = value ? this.read(value, depth + 1) : { value: null, size: 1 };
      entries.set(key, sized.value);
      size += sized.size;
      if (size > this.#maxParts) return this.#breakByAliases(map, value ?? map);
    }
    // Defines even a key named `__proto__` as a key.
    return { value: Object.fromEntries(entries), size };
  }

  #listValue(list: YAMLSeq, depth: number): Sized {
    const values: unknown[] = [];
    let size = 1;
    for (const item of list.items as (Node | null)[]) {
      const sized = item ? this.read(item, depth + 1) : { value: null, size: 1 };
      values.push(sized.value);
      size += sized.size;
      if (size > this.#maxParts) return this.#breakByAliases(list, item ?? list);
    }
    return { value: values, size };
  }

  #scalarValue(scalar: Scalar): unknown {
    if (typeof scalar.value !== 'string' || !scalar.value.includes('${')) return scalar.value;
    const { text, names, faults } = expandEnv(scalar.value, this.#env);
    if (faults.length === 0) {
      this.expanded.set(scalar, names);
      return text;
    }
    this.broken.add(scalar);
    for (const { offset = 0, ...fault } of faults) {
      this.faults.push({ fault, offset: offsetInFile(scalar, this.#text, offset) });
    }
    return undefined;
  }

  get #maxParts(): number {
    return Math.max(MAX_EXPANDED_PARTS, this.#text.length);
  }

  #break(node: Node, code: Fault['code'], message: string, hint?: string, offset = startOf(node)): Sized {
    this.broken.add(node);
    this.faults.push({ fault: { code, message, ...(hint === undefined ? {} : { hint }) }, offset });
    return { value: undefined, size: 1 };
  }

  #breakByKey(map: YAMLMap, pair: Pair): Sized {
    if (!isMap(pair.key)) return this.#break(map, 'CONFIG_SYNTAX', 'a key is a word, not a list or an alias');
    const message = 'a value that begins with `{{` must be quoted, or YAML reads it as a mapping';
    return this.#break(map, 'CONFIG_SYNTAX', message, "quote the whole value: '{{ … }}'");
  }

  #breakByAliases(node: Node, place: Node): Sized {
    const message = `with its aliases followed the file has more than ${this.#maxParts} parts`;
    const hint = 'aliases of aliases multiply: write out what is meant';
    return this.#break(node, 'CONFIG_ALIASES', message, hint, startOf(place));
  }
}
