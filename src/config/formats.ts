// The formats that options are declared with in `schema.ts` and that JSON Schema has no word for: how each is
// called in a message, how it is checked, and what an editor can check of it.
import picomatch from 'picomatch';
import { computedField } from '../event/audit.js';
import { parseWhen } from '../event/match.js';
import { parseFieldPath } from '../event/field-path.js';
import { CHANGES, TESTS } from '../event/modifiers.js';
import type { Shape } from '../event/shape.js';
import { parseTemplate } from '../event/template.js';
import type { Fault } from '../event/fault.js';
import { parseIndexTemplate } from '../sink/elasticsearch/index-name.js';
import { parsePathTemplate } from '../sink/files/path-template.js';
import { parseAddress } from '../source/webhook/address.js';
import { closest } from './closest.js';
import { BYTE_UNITS, DURATION_UNITS, parseBytes, parseDuration } from './units.js';

export interface Format {
  /** What stands after "must be". */
  expected: string;
  /** The value is a string, except for `when`. `known`: what may be named of an event; else the fields of audit events. */
  check(value: unknown, known?: Shape): Fault[];
  /** The part of it that JSON Schema can say. */
  editor: Readonly<Record<string, unknown>>;
  /** What editors show below an option's own description. */
  reference?: string;
}

/** Matches a value that holds a reference to the environment, of which an editor can say nothing. */
export const ENV_PATTERN = '\\$\\{';
/** Names of pipelines and sinks: they become part of file names and metrics. */
export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';

export const FORMATS: Readonly<Record<string, Format>> = {
  bytes: unitFormat('a size such as `64MiB`', '64MiB', BYTE_UNITS, parseBytes),
  duration: unitFormat('a duration such as `30s`', '30s', DURATION_UNITS, parseDuration),
  template: {
    expected: 'a template such as `{{ objectRef.namespace ?? "none" }}`',
    check: (value, known) => faultsOf(parseTemplate(String(value), known)),
    editor: {},
  },
  field: {
    expected: 'a field such as `objectRef.namespace`',
    check: (value, known) => checkField(String(value), known),
    editor: {},
  },
  file: {
    expected: 'an absolute path such as `/etc/headgate/key`',
    check: (value) => checkDirectory(String(value)),
    editor: { pattern: `^/|${ENV_PATTERN}` },
  },
  'path-template': {
    expected: 'a relative path such as `{{ tag }}.%Y%m%d.log`',
    check: (value, known) => faultsOf(parsePathTemplate(String(value), known)),
    editor: { pattern: `^[^/]|${ENV_PATTERN}` },
  },
  'index-template': {
    expected: 'the name of an index such as `audit-{{ tag }}-%Y.%m.%d`',
    check: (value, known) => faultsOf(parseIndexTemplate(String(value), known)),
    editor: { pattern: `^[a-z0-9]|${ENV_PATTERN}` },
  },
  url: {
    expected: 'an address such as `https://es-1.example.com:9200`',
    check: (value) => checkUrl(String(value)),
    editor: { pattern: `^https?://|${ENV_PATTERN}` },
  },
  when: {
    expected: 'a condition such as `{ stage: RequestReceived }`',
    check: (value, known) => faultsOf(parseWhen(value, known)),
    editor: { type: ['object', 'array'] },
    reference: whenReference(),
  },
  glob: {
    expected: 'an absolute path or glob such as `/var/log/kube-audit/*.log`',
    check: (value) => checkGlob(String(value)),
    editor: { pattern: `^/|${ENV_PATTERN}` },
  },
  address: {
    expected: 'an address with a port such as `127.0.0.1:9443`',
    check: (value) => checkAddress(String(value)),
    editor: { pattern: `:[0-9]{1,5}$|${ENV_PATTERN}` },
  },
  directory: {
    expected: 'an absolute directory such as `/var/log/audit`',
    check: (value) => checkDirectory(String(value)),
    editor: { pattern: `^/|${ENV_PATTERN}` },
  },
  name: {
    expected: 'a name',
    check: (value) => checkName(String(value)),
    editor: { pattern: `${NAME_PATTERN}|${ENV_PATTERN}` },
  },
};

/** Faults of a name of a pipeline or a sink. */
export function checkName(name: string): Fault[] {
  if (new RegExp(NAME_PATTERN).test(name)) return [];
  const message = 'a name is 1 to 64 letters, digits, `.`, `_` or `-`, and begins with a letter or digit';
  return [{ code: 'CONFIG_VALUE', message }];
}

function checkAddress(text: string): Fault[] {
  const parsed = parseAddress(text);
  return 'fault' in parsed ? [parsed.fault] : [];
}

function checkField(text: string, known: Shape | undefined): Fault[] {
  const parsed = parseFieldPath(text, known);
  if ('fault' in parsed) return [parsed.fault];
  const computed = computedField(parsed.path);
  if (computed === undefined) return [];
  return [{ code: 'CONFIG_FIELD', message: `\`${computed}\` is computed: it does not stand in the event` }];
}

function whenReference(): string {
  const changes = Object.entries(CHANGES).map(([name, { summary }]) => [name, summary]);
  const modifiers = [...Object.entries(TESTS), ...changes].map(
    ([name, summary]) => `- \`|${name}\`: ${summary}`,
  );
  return [
    'A Sigma selection: a mapping of fields to values holds if all of them match; of a list one must. `*` and `?` are wildcards, `null` is an absent field; `any:`, `all:` and `not:` combine conditions. Modifiers of a field, as in `requestURI|contains`:',
    modifiers.join('\n'),
  ].join('\n\n');
}

function faultsOf(parsed: object): Fault[] {
  return 'faults' in parsed ? (parsed.faults as Fault[]) : [];
}

function unitFormat(
  expected: string,
  example: string,
  units: Readonly<Record<string, number>>,
  parse: (text: string) => number | undefined,
): Format {
  const names = Object.keys(units);
  const check = (value: unknown): Fault[] => {
    const text = String(value);
    if (parse(text) !== undefined) return [];
    const [, number, unit] = /^([-+]?[\d.,_]+)\s*(.*)$/s.exec(text) ?? [];
    const hint = `write a whole number and a unit (${names.join(', ')}), such as \`${example}\``;
    const fault = (message: string, ownHint = hint): Fault[] => [
      { code: 'CONFIG_UNIT', message, hint: ownHint },
    ];
    if (number === undefined) return fault(`must be ${expected}`);
    if (unit === '' || unit === undefined) {
      return fault(
        'the unit is missing',
        `write for example \`${/^\d+$/.test(number) ? number : 1}${example.replace(/\d+/, '')}\`; units are ${names.join(', ')}`,
      );
    }
    if (!(unit in units)) {
      const near = names.find((name) => name.toLowerCase() === unit.toLowerCase()) ?? closest(unit, names);
      return fault('no such unit', near === undefined ? hint : `did you mean \`${number}${near}\`?`);
    }
    if (!/^\d+$/.test(number)) return fault('the number must be a whole one');
    return fault(text === `${number}${unit}` ? 'too large' : 'no space stands between number and unit');
  };
  return { expected, check, editor: { pattern: `^[0-9]{1,15}(${names.join('|')})$|${ENV_PATTERN}` } };
}

function checkUrl(text: string): Fault[] {
  const fault = (message: string, hint: string): Fault[] => [{ code: 'CONFIG_VALUE', message, hint }];
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    return fault('this is no address of a server', 'write for example `https://es-1.example.com:9200`');
  const { username, password, search, hash } = new URL(text);
  if (username !== '' || password !== '')
    return fault('an address holds no user and no password', 'use `auth`: what stands here gets into logs');
  if (search !== '' || hash !== '') return fault('an address holds no `?` and no `#`', 'take it away');
  return [];
}

function checkGlob(glob: string): Fault[] {
  const hint = 'a literal `[`, `(`, `{`, `*` or `?` in a name is written with `\\` before it';
  if (!glob.startsWith('/')) {
    return [{ code: 'CONFIG_GLOB', message: 'must be an absolute path or glob', hint: 'begin it with `/`' }];
  }
  if (glob.includes('\0')) return [{ code: 'CONFIG_GLOB', message: 'a path can hold no NUL byte' }];
  const end = glob.split('/').pop();
  if (end === '')
    return [
      {
        code: 'CONFIG_GLOB',
        message: 'names a directory, not files',
        hint: `add a name, such as \`${glob}audit.log\``,
      },
    ];
  try {
    // With `debug` a pattern that makes no regular expression throws instead of matching nothing.
    picomatch.makeRe(glob, { strictBrackets: true, debug: true });
    return [];
  } catch (error) {
    // picomatch: `Missing closing: "]" - use "\\]" to match literal characters`
    const bracket = /Missing (closing|opening): "(.)"/.exec(error instanceof Error ? error.message : '');
    const message = bracket
      ? `broken glob: no ${bracket[1]} \`${bracket[2]}\``
      : 'broken glob: a range runs backwards';
    return [{ code: 'CONFIG_GLOB', message, hint }];
  }
}

function checkDirectory(path: string): Fault[] {
  const fault = (message: string, hint: string, offset = 0): Fault[] => [
    { code: 'CONFIG_PATH', message, hint, offset },
  ];
  if (!path.startsWith('/')) return fault('must be an absolute path', 'begin it with `/`');
  const offset = path.search(/(?<=\/)\.\.(?=\/|$)/);
  if (offset >= 0) return fault('`..` is not allowed in a directory', 'write the path that is meant', offset);
  if (path.includes('\0')) return fault('a path can hold no NUL byte', 'take it out');
  return [];
}
