// Texts with wildcards, matched over bytes: `*` is any text, `?` one character (of UTF-8; a byte that is none counts
// as one). `\*`, `\?` and `\\` stand for the sign itself, any other backslash for itself. Matching never
// backtracks over more than the last `*`, so that no value, however long, takes more than its length times the
// pattern's.

/** A pattern's signs: 0–255 a byte, and the two wildcards. */
export type Pattern = Uint16Array;

export const ANY_CHARACTER = 256;
export const ANY_TEXT = 257;

/** The pattern that a text in a pipeline file means. */
export function parsePattern(text: string): Pattern {
  const signs: number[] = [];
  for (const [sign] of text.matchAll(/\\[*?\\]|./gsu)) {
    if (sign === '*') signs.push(ANY_TEXT);
    else if (sign === '?') signs.push(ANY_CHARACTER);
    else signs.push(...Buffer.from(sign.length === 2 && sign.startsWith('\\') ? sign.slice(1) : sign));
  }
  return Uint16Array.from(signs);
}

/** The pattern of texts that hold a match of `pattern`, or begin or end with one. */
export function widen(pattern: Pattern, where: 'contains' | 'startswith' | 'endswith'): Pattern {
  return Uint16Array.from([
    ...(where === 'startswith' ? [] : [ANY_TEXT]),
    ...pattern,
    ...(where === 'endswith' ? [] : [ANY_TEXT]),
  ]);
}

/** How many signs there are before the first wildcard. */
export function literalLength(pattern: Pattern): number {
  const wildcard = pattern.findIndex((sign) => sign >= ANY_CHARACTER);
  return wildcard < 0 ? pattern.length : wildcard;
}

/** Whether the bytes `data[start..end)` are a text of the pattern. */
export function matchesPattern(pattern: Pattern, data: Uint8Array, start: number, end: number): boolean {
  let sign = 0;
  let p = start;
  // Where the last `*` stands, and how far it reaches now: on a mismatch it takes one character more.
  let star = -1;
  let reach = start;
  while (p < end) {
    const wanted = pattern[sign];
    if (wanted === ANY_TEXT) {
      star = sign++;
      if (sign === pattern.length) return true;
      reach = p;
    } else if (wanted === data[p]) {
      sign++;
      p++;
    } else if (wanted === ANY_CHARACTER) {
      sign++;
      p = nextCharacter(data, p, end);
    } else if (star >= 0) {
      sign = star + 1;
      reach = nextCharacter(data, reach, end);
      const next = pattern[sign] as number;
      // A pattern's byte is never the middle of a character, so that going byte by byte is right here.
      if (next < ANY_CHARACTER) while (reach < end && data[reach] !== next) reach++;
      p = reach;
    } else {
      return false;
    }
  }
  while (pattern[sign] === ANY_TEXT) sign++;
  return sign === pattern.length;
}

// The position behind the character at `at`: its lead byte says how long it is, if so many bytes of its kind follow.
function nextCharacter(data: Uint8Array, at: number, end: number): number {
  const lead = data[at] as number;
  const length = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (at + length > end) return at + 1;
  for (let p = at + 1; p < at + length; p++) if (((data[p] as number) & 0xc0) !== 0x80) return at + 1;
  return at + length;
}
