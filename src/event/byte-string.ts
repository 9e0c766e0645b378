// A byte string is a JavaScript string in which every character stands for one byte (latin1). Values taken
// from events are byte strings: they compare, hash and concatenate like strings, and unlike decoded strings
// two different byte sequences are never equal (invalid UTF-8 and lone surrogates would merge otherwise).

/** A string of characters U+0000 to U+00FF, each one byte of the value. */
export type ByteString = string;

/** The UTF-8 bytes of ordinary text, as from a configuration file. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The text for a person to read; invalid UTF-8 becomes U+FFFD. */
export function toText(bytes: ByteString): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The bytes. */
export function toBuffer(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}
