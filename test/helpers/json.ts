// What is true of JSON by another way than Headgate's own: JSON.parse, and a parser for which the first of two
// equal keys wins. Strings are byte strings throughout (see src/event/byte-string.ts).
import fc from 'fast-check';

export type Json = null | boolean | number | string | Json[] | Map<string, Json>;

/** Whether a line is one JSON object. */
export function isObjectLine(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** A text that two values share exactly if they are equal. */
export function comparable(value: Json): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner instanceof Map ? { object: [...inner] } : inner,
  );
}

/** Parses valid JSON; of two equal keys the first wins. */
export function parseFirstWins(text: string): Json {
  let p = 0;
  const space = (): void => {
    while (' \t\r\n'.includes(text.charAt(p)) && p < text.length) p++;
  };
  const value = (): Json => {
    space();
    const start = p;
    const first = text[p];
    if (first === '{') {
      const object = new Map<string, Json>();
      p++;
      space();
      while (text[p] !== '}') {
        space();
        const key = value() as string;
        space();
        p++;
        const inner = value();
        if (!object.has(key)) object.set(key, inner);
        space();
        if (text[p] === ',') p++;
      }
      p++;
      return object;
    }
    if (first === '[') {
      const array: Json[] = [];
      p++;
      space();
      while (text[p] !== ']') {
        array.push(value());
        space();
        if (text[p] === ',') p++;
        space();
      }
      p++;
      return array;
    }
    if (first === '"') {
      p++;
      while (text[p] !== '"') p += text[p] === '\\' ? 2 : 1;
      p++;
      return unescaped(text.slice(start, p));
    }
    while (p < text.length && !' \t\r\n,]}'.includes(text.charAt(p))) p++;
    return JSON.parse(text.slice(start, p)) as Json;
  };
  return value();
}

/** The bytes that a JSON string with its quotes stands for. */
function unescaped(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replace(/((?:\\u[0-9a-fA-F]{4})+)|\\(.)/g, (_, units: string | undefined, short: string) =>
      units === undefined ? (JSON.parse(`"\\${short}"`) as string) : wtf8(JSON.parse(`"${units}"`) as string),
    );
}

function wtf8(text: string): string {
  return [...text]
    .map((character) => {
      const code = character.codePointAt(0) ?? 0;
      if (code < 0xd800 || code > 0xdfff) return Buffer.from(character).toString('latin1');
      return String.fromCharCode(0xed, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    })
    .join('');
}

const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', 'stage', 'user', 'objectRef', 'é', '') },
  { weight: 1, arbitrary: fc.string({ maxLength: 4, unit: 'binary' }) },
);
const scalar = fc.oneof(
  fc.constantFrom('true', 'false', 'null', '0', '-0', '403', '1e3', '1.50', '-7', '9007199254740993', '""'),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc
    .constantFrom('', 'a', 'ab', 'abc', 'kube-system', '403', '1e3', 'a*b', 'é', '日本', '\\', '"')
    .chain(spelt),
  fc
    .constantFrom('A', 'a\nb', 'É-', '10.1.2.3', '192.168.1.7', '%41b', 'a%2', '%e6%97%a5', '%2541', 'a4 b')
    .chain(spelt),
  fc.constantFrom('"a\xff"', '"\xe6\x97-"', '"\xed\xa0\x80"', '["10.1.2.3","192.168.1.7","a"]'),
  fc.string({ unit: 'binary', maxLength: 12 }).chain(spelt),
);
const space = fc.constantFrom('', '', '', '', ' ', '\t', '\r ');

/** A JSON string for a text, in one of the ways that JSON has for it, as a byte string. */
function spelt(text: string): fc.Arbitrary<string> {
  return fc.infiniteStream(fc.integer({ min: 0, max: 9 })).map((choices) => {
    const content = Array.from({ length: text.length }, (_, i) => text.charAt(i)).map((unit) => {
      const escaped = JSON.stringify(unit).slice(1, -1);
      const choice = choices.next().value as number;
      if (choice === 0) return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
      if (choice === 1 && unit === '/') return '\\/';
      return escaped;
    });
    return `"${Buffer.from(content.join('')).toString('latin1')}"`;
  });
}

/** Texts of JSON objects, valid, with white space, escapes and equal keys, as byte strings. */
export const objectText: fc.Arbitrary<string> = fc.letrec<{ value: string; object: string; array: string }>(
  (tie) => {
    const value = fc.oneof({ maxDepth: 4 }, scalar, tie('object'), tie('array'));
    return {
      value,
      object: fc
        .array(fc.tuple(space, key.chain(spelt), space, space, value, space), { maxLength: 5 })
        .map(
          (entries) =>
            `{${entries.map(([s1, k, s2, s3, v, s4]) => `${s1}${k}${s2}:${s3}${v}${s4}`).join(',')}}`,
        ),
      array: fc
        .array(fc.tuple(space, value, space), { maxLength: 4 })
        .map((items) => `[${items.map((parts) => parts.join('')).join(',')}]`),
    };
  },
).object;

/** An event as kube-apiserver writes it. */
export const GENUINE_LINE =
  '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"0237ecac-0493-4b23-b1b1-32d4cc872e8d","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/team-a/pods?timeout=7m35s\\u0026watch=true","verb":"create","user":{"username":"oidc:\\u003cb\\u003eTom \\u0026 \\"Jerry\\"\\u003c/b\\u003e\\\\dom=x","uid":"1","groups":["system:masters",""],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=1"]}},"sourceIPs":["127.0.0.1"],"userAgent":"curl/7.88.1","objectRef":{"resource":"pods","namespace":"team-a","name":"\\u65e5\\u672c","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"requestObject":{"metadata":{"creationTimestamp":null},"spec":{"containers":[{"name":"a","resources":{},"ports":[8080,-1.5e3,9007199254740993]},{"name":"b"}],"x":[[],{}]}},"requestReceivedTimestamp":"2026-11-21T09:31:11.543895Z","stageTimestamp":"2026-11-21T09:31:11.943895Z","annotations":{"authorization.k8s.io/decision":"allow"}}';
