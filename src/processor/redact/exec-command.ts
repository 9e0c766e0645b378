// The command line of `kubectl exec` stands in the request URI, one `command=` parameter a word. Finds the values of
// these parameters in the text as it stands in JSON, so that the rest of it is not written anew.

/** A parameter's value in the raw text of a JSON string: positions from its beginning. */
export interface ParameterValue {
  start: number;
  end: number;
  /** What it stands for, percent-decoded. */
  value: string;
}

/**
 * Values of the query parameter `name` in a URI. A `#` begins no fragment there: Go's http server takes none
 * (net/url ParseRequestURI). `raw` is a JSON string's content, a character for each byte.
 */
export function queryValues(raw: string, name: string): ParameterValue[] {
  const found: ParameterValue[] = [];
  let isQuery = false;
  let key = '';
  let current: ParameterValue | undefined;
  const finish = (end: number): void => {
    if (current && decoded(key) === name)
      found.push({ start: current.start, end, value: decoded(current.value) });
    current = undefined;
    key = '';
  };
  for (const match of raw.matchAll(UNIT)) {
    const character = characterOf(match[0]);
    const end = match.index + match[0].length;
    if (!isQuery) {
      isQuery = character === '?';
    } else if (character === '&') {
      finish(match.index);
    } else if (current) {
      current.value += character;
    } else if (character === '=') {
      current = { start: end, end, value: '' };
    } else {
      key += character;
    }
  }
  if (isQuery) finish(raw.length);
  return found;
}

/** One character: written as an escape (RFC 8259 §7), or as it is. */
const UNIT = /\\u[0-9a-fA-F]{4}|\\.|[^]/g;

function characterOf(unit: string): string {
  if (unit.startsWith('\\u')) return String.fromCharCode(Number.parseInt(unit.slice(2), 16));
  return unit.length === 2 ? unit.slice(1) : unit;
}

/** As Go's net/url does it (QueryUnescape); what is no escape stays. */
function decoded(text: string): string {
  return text
    .replace(/\+/g, ' ')
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
