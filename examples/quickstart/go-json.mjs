// JSON as Go's encoding/json writes it, so that a generated line has the bytes that a kube-apiserver would have
// written: `&`, `<`, `>`, U+2028 and U+2029 escaped, absent fields left out, integers of any size.

/** @type {Readonly<Record<string, string>>} */
const ESCAPES = {
  '&': '\\u0026',
  '<': '\\u003c',
  '>': '\\u003e',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/**
 * @param {string} text
 * @returns {string}
 */
function encodeString(text) {
  return JSON.stringify(text).replace(/[&<>\u2028\u2029]/g, (c) => ESCAPES[c] ?? c);
}

/**
 * The JSON text of a value. Keys keep their order; keys whose value is undefined are left out. A bigint stands for
 * an int64 that does not fit into a JavaScript number.
 * @param {unknown} value
 * @returns {string}
 */
export function encode(value) {
  if (typeof value === 'string') return encodeString(value);
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return `[${value.map(encode).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([key, member]) => `${encodeString(key)}:${encode(member)}`);
  return `{${members.join(',')}}`;
}
