// Sizes and durations of a pipeline file: `<int><B|KiB|MiB|GiB|kB|MB|GB>` and `<int><ms|s|m|h|d>`. A bare number is
// a fault, because nobody can tell what it was meant to be.

/** How many bytes each unit is. */
export const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};
/** How many milliseconds each unit is. */
export const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15})([A-Za-z]+)$/.exec(text);
  if (!match) return undefined;
  const unit = units[match[2] ?? ''];
  const value = unit === undefined ? NaN : Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Bytes, or undefined where the text is no size. */
export const parseBytes = (text: string): number | undefined => parse(text, BYTE_UNITS);
/** Milliseconds, or undefined where the text is no duration. */
export const parseDuration = (text: string): number | undefined => parse(text, DURATION_UNITS);

/** Bytes of a size that validation has passed; throws on any other text. */
export function bytesOf(text: string): number {
  const value = parseBytes(text);
  if (value === undefined) throw new Error(`impossible: unvalidated size ${JSON.stringify(text)}`);
  return value;
}
/** Milliseconds of a duration that validation has passed; throws on any other text. */
export function millisecondsOf(text: string): number {
  const value = parseDuration(text);
  if (value === undefined) throw new Error(`impossible: unvalidated duration ${JSON.stringify(text)}`);
  return value;
}
