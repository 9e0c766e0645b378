// Changes to a piece of valid JSON as cuts, replacements and insertions over its bytes. Whatever no edit names stays as
// it is, byte for byte: numbers are not rounded, escapes not rewritten, keys not sorted. Where the edits go, others know:
// `json-members.ts` finds members, `json-set.ts` sets them.
import { CLOSE_BRACE, COMMA, isSpace } from './json-reader.js';

interface Edit {
  start: number;
  end: number;
  bytes: Buffer;
  /** A member of an object, from its key to its value: the comma that belongs to it goes along. */
  isMember: boolean;
}

const NOTHING = Buffer.alloc(0);

export class JsonEdits {
  #edits: Edit[] = [];

  get isEmpty(): boolean {
    return this.#edits.length === 0;
  }

  /** Puts `bytes` in the place of a value. */
  replace(start: number, end: number, bytes: Buffer): void {
    this.#edits.push({ start, end, bytes, isMember: false });
  }

  /** Puts `bytes` in front of what stands at `at`. */
  insert(at: number, bytes: Buffer): void {
    this.replace(at, at, bytes);
  }

  /** Takes a member out of its object: from the opening quote of its key to the end of its value. */
  cutMember(keyStart: number, valueEnd: number): void {
    this.#edits.push({ start: keyStart, end: valueEnd, bytes: NOTHING, isMember: true });
  }

  /**
   * `data[start, end)` with all edits made, as new bytes; the edits are gone then. Of two edits of which one lies inside
   * the other only the outer is made.
   */
  apply(data: Buffer, start: number, end: number): Buffer {
    const edits = outermost(this.#edits);
    this.#edits = [];
    const parts: Buffer[] = [];
    let p = start;
    for (let i = 0; i < edits.length; i++) {
      const edit = edits[i] as Edit;
      let { start: from, end: to } = edit;
      if (edit.isMember) {
        let next = behindComma(data, to);
        while (next >= 0 && edits[i + 1]?.isMember === true && edits[i + 1]?.start === next) {
          to = (edits[++i] as Edit).end;
          next = behindComma(data, to);
        }
        // Up to the next member, or, of the last members, from the comma before them.
        if (next >= 0) to = next;
        else from = commaBefore(data, from);
      }
      parts.push(data.subarray(p, from), edit.bytes);
      p = to;
    }
    parts.push(data.subarray(p, end));
    return Buffer.concat(parts);
  }
}

function outermost(edits: Edit[]): Edit[] {
  const sorted = edits
    .map((edit, order) => ({ edit, order }))
    .sort((a, b) => a.edit.start - b.edit.start || b.edit.end - a.edit.end || a.order - b.order)
    .map(({ edit }) => edit);
  let end = -1;
  return sorted.filter((edit) => {
    const isInside = edit.start < end;
    if (!isInside) end = Math.max(end, edit.end);
    return !isInside;
  });
}

/** The start of the member behind a value that ends at `at`; -1 where that was the last one. */
function behindComma(data: Buffer, at: number): number {
  let p = skipSpace(data, at);
  if (data[p] !== COMMA) {
    if (data[p] !== CLOSE_BRACE) throw new Error('impossible: a member that no comma or brace follows');
    return -1;
  }
  p = skipSpace(data, p + 1);
  return p;
}

/** The comma in front of `at`, or `at` where none stands there. */
function commaBefore(data: Buffer, at: number): number {
  let p = at - 1;
  while (isSpace(data[p])) p--;
  return data[p] === COMMA ? p : at;
}

function skipSpace(data: Buffer, at: number): number {
  let p = at;
  while (isSpace(data[p])) p++;
  return p;
}
