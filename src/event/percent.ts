// Percent-encoding of URIs (RFC 3986 §2.1), decoded as far as a condition wants it: each `%XX` once, so that `%252F`
// becomes `%2F` and no more. What is no such escape stays, and so does `+`, which is a space in a query only.

/** The sign that an escape begins with. */
export const PERCENT = 0x25;

/** Decodes `text[0..length)` in place; returns how many bytes it has then. */
export function decodePercent(text: Uint8Array, length: number): number {
  let to = 0;
  for (let p = 0; p < length; p++) {
    const byte = text[p] as number;
    const high = byte === PERCENT && p + 2 < length ? hexDigit(text[p + 1] as number) : -1;
    const low = high < 0 ? -1 : hexDigit(text[p + 2] as number);
    if (low < 0) {
      text[to++] = byte;
    } else {
      text[to++] = (high << 4) | low;
      p += 2;
    }
  }
  return to;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
