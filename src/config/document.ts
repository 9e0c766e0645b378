// A pipeline file, read as YAML: its plain value, and where each part of that value stands in the file. Whoever
// validates the value sees plain objects only and reports by path (`['sinks', 'out', 'path']`), never by node.
//
// Invariant: a part that was reported as broken while the file was read has the value `undefined`, and nothing
// more is reported about it. Text that came from the environment never reaches a diagnostic.
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Node, YAMLError } from 'yaml';
import type { Fault } from '../event/fault.js';
import type { Diagnostic } from './diagnostic.js';
import type { Environment } from './expand-env.js';
import { syntaxFault } from './syntax-fault.js';
import { keyText, offsetInFile, sourceOf, startOf } from './yaml-nodes.js';
import { readYamlValue } from './yaml-value.js';
import type { YamlValue } from './yaml-value.js';

/** Keys and indexes from the root down to a part. */
export type ValuePath = readonly (string | number)[];

/** Characters of a value that a message quotes. */
const MAX_QUOTED = 60;

/** Where a path leads: the part, the key that holds it, and what is really there of the path: a key, or a list's item. */
interface Place {
  node: Node | undefined;
  key: Node | undefined;
  nearest: Node | undefined;
  isBroken: boolean;
}

export class ConfigDocument {
  readonly file: string;
  /** What the file says; undefined where it is empty or its syntax is broken. */
  readonly value: unknown;
  readonly diagnostics: Diagnostic[] = [];
  readonly #reported = new Set<string>();
  readonly #text: string;
  readonly #lines = new LineCounter();
  readonly #root: Node | undefined;
  readonly #broken: YamlValue['broken'] = new Set();
  readonly #targets: YamlValue['targets'] = new Map();
  readonly #expanded: YamlValue['expanded'] = new Map();

  /** `text` is the whole file, without a byte order mark. */
  constructor(file: string, text: string, env: Environment) {
    this.file = file;
    this.#text = text;
    const { contents, errors } = parseDocument(text, {
      lineCounter: this.#lines,
      strict: true,
      // Found by `readYamlValue`, which also tells where the first one is.
      uniqueKeys: false,
      schema: 'core',
      resolveKnownTags: false,
      prettyErrors: false,
      logLevel: 'error',
    });
    if (errors.length > 0) {
      this.#reportSyntax(errors);
    } else if (contents === null || (isScalar(contents) && contents.value === null)) {
      this.reportFile({
        code: 'CONFIG_EMPTY',
        message: 'the file is empty',
        hint: 'one file is one pipeline, with `source:`, `routes:` and `sinks:`; or take the file away',
      });
    } else {
      this.#root = contents;
      const read = readYamlValue(contents, text, this.#lines, env);
      this.value = read.value;
      this.#broken = read.broken;
      this.#targets = read.targets;
      this.#expanded = read.expanded;
      for (const { fault, offset } of read.faults) this.#push(offset, fault);
    }
  }

  /** Reports a fault of the file as a whole. */
  reportFile(fault: Pick<Fault, 'code' | 'message' | 'hint'>): void {
    this.diagnostics.push(fileDiagnostic(this.file, fault));
  }

  /**
   * Reports a fault of the part at `path`; `fault.path` leads on from there. Says nothing about parts that are
   * already known to be broken. Texts of the file go into the message by `quote` only.
   */
  report(path: ValuePath, fault: Fault): void {
    const place = this.#find([...path, ...(fault.path ?? [])]);
    if (!place.isBroken) this.#push(this.#offsetOf(place, fault), fault);
  }

  /**
   * Like `report`, for a message that may hold pieces of the value at `path`, or, with `isOfAll`, of everything
   * at `path`: it is replaced where any of that came from the environment.
   */
  reportForeign(path: ValuePath, fault: Fault, isOfAll = false): void {
    const place = this.#find([...path, ...(fault.path ?? [])]);
    if (place.isBroken) return;
    const told = isOfAll ? this.#find(path).node : fault.atKey ? undefined : place.node;
    const names = this.#environmentNames(told);
    const shown: Fault = names.size > 0 ? withoutText(fault, names) : fault;
    this.#push(this.#offsetOf(place, shown), shown);
  }

  /** The part as a message may show it: a word or number in backticks, `${NAME}` where it came from the environment. */
  quote(path: ValuePath): string {
    const { node } = this.#find(path);
    if (isMap(node)) return node.items.length > 0 ? 'a mapping' : 'an empty mapping';
    if (isSeq(node)) return node.items.length > 0 ? 'a list' : 'an empty list';
    if (!isScalar(node) || node.value === null) return 'nothing';
    // The node keeps the text as written: what a variable stands for is in the plain value only.
    const text = typeof node.value === 'string' ? node.value : sourceOf(node, this.#text);
    const shown = Array.from(text);
    return `\`${shown.length > MAX_QUOTED ? shown.slice(0, MAX_QUOTED).join('') + '…' : text}\``;
  }

  /** Whether the part at `path`, what it is in, or anything in it was reported while the file was read. */
  hasBrokenPart(path: ValuePath): boolean {
    const place = this.#find(path);
    return place.isBroken || this.#some(place.node, (node) => this.#broken.has(node));
  }

  /** Whether the scalar at `path` holds text from the environment. */
  isFromEnvironment(path: ValuePath): boolean {
    const { node } = this.#find(path);
    return node !== undefined && (this.#expanded.get(node) ?? []).length > 0;
  }

  #push(offset: number, fault: Fault): void {
    const { line, col } = this.#lines.linePos(offset);
    const start = this.#lines.lineStarts[line - 1] ?? 0;
    const end = this.#text.indexOf('\n', start);
    const diagnostic: Diagnostic = {
      code: fault.code,
      message: fault.message,
      file: this.file,
      line,
      column: Array.from(this.#text.slice(start, start + col - 1)).length + 1,
      sourceLine: this.#text.slice(start, end < 0 ? undefined : end).replace(/\r$/, ''),
      ...(fault.hint === undefined ? {} : { hint: fault.hint }),
    };
    // Two aliases of one faulty part lead here twice.
    const key = `${offset} ${fault.message}`;
    if (this.#reported.has(key)) return;
    this.#reported.add(key);
    this.diagnostics.push(diagnostic);
  }

  #find(path: ValuePath): Place {
    let node = this.#root;
    let key: Node | undefined;
    let nearest: Node | undefined = node;
    let isBroken = node === undefined || this.#broken.has(node);
    for (const step of path) {
      let part: Node | null | undefined;
      if (isMap(node)) {
        const pair = node.items.find((item) => keyText(item, this.#text) === String(step));
        part = pair?.value as Node | null | undefined;
        key = pair?.key as Node | undefined;
      } else if (isSeq(node)) {
        part = node.items[Number(step)] as Node | null | undefined;
        key = undefined;
      } else {
        key = undefined;
      }
      if (part && this.#broken.has(part)) isBroken = true;
      node = this.#follow(part);
      if (node && this.#broken.has(node)) isBroken = true;
      nearest = key ?? node ?? nearest;
    }
    return { node, key, nearest, isBroken };
  }

  /** The offset in the file that a fault points at. */
  #offsetOf({ node, key, nearest }: Place, fault: Fault): number {
    const isAbsent = node === undefined || sourceOf(node, this.#text) === '';
    const target = (fault.atKey || isAbsent ? key : node) ?? node ?? nearest;
    if (!target) return 0;
    const isExact =
      fault.offset !== undefined && isScalar(target) && !isAbsent && !this.#expanded.has(target);
    return isExact ? offsetInFile(target, this.#text, fault.offset ?? 0) : startOf(target);
  }

  #follow(node: Node | null | undefined): Node | undefined {
    return isAlias(node) ? this.#targets.get(node) : (node ?? undefined);
  }

  #environmentNames(node: Node | undefined): Set<string> {
    const names = new Set<string>();
    this.#some(node, (part) => {
      this.#expanded.get(part)?.forEach((name) => names.add(name));
      return false;
    });
    return names;
  }

  /** Whether the test holds for a part of `node`, aliases followed, each part tested once. */
  #some(node: Node | null | undefined, test: (part: Node) => boolean, seen = new Set<Node>()): boolean {
    if (!node || seen.has(node)) return false;
    seen.add(node);
    if (test(node)) return true;
    if (isAlias(node)) return this.#some(this.#targets.get(node), test, seen);
    const parts = isMap(node) ? node.items.map((pair) => pair.value) : isSeq(node) ? node.items : [];
    return (parts as (Node | null)[]).some((part) => this.#some(part, test, seen));
  }

  /** The first fault of each line: what follows on it is mostly a consequence. */
  #reportSyntax(errors: readonly YAMLError[]): void {
    const lines = new Set<number>();
    const end = this.#text.trimEnd().length;
    for (const error of errors) {
      const offset = Math.min(error.pos[0], end);
      const { line } = this.#lines.linePos(offset);
      if (lines.has(line)) continue;
      lines.add(line);
      const start = this.#lines.lineStarts[line - 1] ?? 0;
      this.#push(offset, syntaxFault(error, this.#text.slice(start).split('\n', 1)[0] ?? ''));
    }
  }
}

/** A diagnostic of a file as a whole. */
export function fileDiagnostic(file: string, fault: Pick<Fault, 'code' | 'message' | 'hint'>): Diagnostic {
  return { ...fault, file, line: 1, column: 1 };
}

function withoutText(fault: Fault, names: ReadonlySet<string>): Fault {
  const variables = [...names].map((name) => `\`\${${name}}\``).join(', ');
  return {
    code: fault.code,
    message: `not valid once ${variables} is expanded (the expanded text is not shown)`,
    ...(fault.atKey === undefined ? {} : { atKey: fault.atKey }),
  };
}
