// The modifiers that may follow a field in a condition: `requestURI|decoded|contains`. They are those of Sigma
// (https://sigmahq.io/sigma-specification/specification/sigma-appendix-modifiers.html) that audit events have a use
// for, with their meaning there, and `decoded`. One says how values are compared, the others change that; their order
// means nothing. Which can stand together is said here; what they do is in `when.ts`. Editors show the descriptions.
import { closest } from '../config/closest.js';
import type { Fault } from './fault.js';

/** How the values of a condition are held against a field; `equals` has no modifier. */
export type Test =
  'equals' | 'contains' | 'startswith' | 'endswith' | 're' | 'cidr' | 'exists' | 'gt' | 'gte' | 'lt' | 'lte';

/** What changes a test. */
export type Change = 'i' | 'm' | 's' | 'decoded' | 'cased' | 'all';

/** What the modifiers of one field say. */
export interface Modifiers {
  readonly test: Test;
  readonly changes: ReadonlySet<Change>;
}

/** What each test means, as Markdown. */
export const TESTS: Readonly<Record<Exclude<Test, 'equals'>, string>> = {
  contains: 'the value stands somewhere in the text',
  startswith: 'the text begins with the value',
  endswith: 'the text ends with the value',
  re: 'the value is a regular expression (RE2 syntax) that matches somewhere in the text',
  cidr: 'the text is an IP address in the network: `10.0.0.0/8`, `fd00::/8`, or one address',
  exists: '`true`: the field is there and not null; `false`: it is not',
  gt: 'the number is greater; for `time`: it is later',
  gte: 'the number is greater or equal',
  lt: 'the number is less; for `time`: it is earlier',
  lte: 'the number is less or equal',
};

const TEXT_TESTS: readonly Test[] = ['equals', 'contains', 'startswith', 'endswith'];

/** What each change means, as Markdown, and the tests that it is for. */
export const CHANGES: Readonly<Record<Change, { summary: string; of: readonly Test[] }>> = {
  i: { summary: 'of `|re`: capitals and small letters are the same', of: ['re'] },
  m: { summary: 'of `|re`: `^` and `$` match at each line', of: ['re'] },
  s: { summary: 'of `|re`: `.` matches a newline too', of: ['re'] },
  decoded: {
    summary: 'each `%XX` of the text is decoded first, once: for `requestURI`',
    of: [...TEXT_TESTS, 're'],
  },
  cased: {
    summary:
      'capitals and small letters differ, as they always do here: it is there so that Sigma rules need no change',
    of: TEXT_TESTS,
  },
  all: { summary: 'every value of the list must match, not only one', of: [...TEXT_TESTS, 're', 'cidr'] },
};

const NAMES = [...Object.keys(TESTS), ...Object.keys(CHANGES)];

/** What people write for something that is called differently here. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['regex', 'did you mean `|re`?'],
  ['ignorecase', 'did you mean `|re|i`?'],
  ['nocase', 'did you mean `|re|i`?'],
  ['neq', 'write the condition under `not:`'],
  ['in', 'a list of values needs no modifier: one of them must match'],
]);

/** Reads the modifiers that stand from `start` to the end of a key, each after a `|`. */
export function readModifiers(key: string, start: number): Modifiers | { fault: Fault } {
  let test: Test = 'equals';
  const changes = new Map<Change, number>();
  let offset = start;
  for (const name of key.slice(start).split('|').slice(1)) {
    const fault = (message: string, hint: string): { fault: Fault } => ({
      fault: { code: 'CONFIG_MODIFIER', message, hint, offset: offset + 1 },
    });
    if (isTest(name)) {
      if (test === name) return fault(`\`|${name}\` stands twice`, 'take one of the two away');
      if (test !== 'equals') {
        const message = `\`|${test}\` and \`|${name}\` can not be combined`;
        return fault(message, 'write one condition for each, under `all:`');
      }
      test = name;
    } else if (isChange(name)) {
      if (changes.has(name)) return fault(`\`|${name}\` stands twice`, 'take one of the two away');
      changes.set(name, offset + 1);
    } else {
      const near = closest(name, NAMES);
      const known =
        near === undefined ? `the modifiers are |${NAMES.join(' |')}` : `did you mean \`|${near}\`?`;
      return fault(`there is no modifier \`|${name}\``, OTHER_NAMES.get(name) ?? known);
    }
    offset += name.length + 1;
  }
  for (const [change, at] of changes) {
    if (!CHANGES[change].of.includes(test)) return { fault: { ...misplaced(change, test), offset: at } };
  }
  return { test, changes: new Set(changes.keys()) };
}

function misplaced(change: Change, test: Test): Fault {
  const names = CHANGES[change].of.filter((of) => of !== 'equals').map((of) => `\`|${of}\``);
  const message =
    test === 'equals'
      ? `\`|${change}\` means nothing without ${names.join(' or ')}`
      : `\`|${change}\` and \`|${test}\` can not be combined`;
  return { code: 'CONFIG_MODIFIER', message, hint: `\`|${change}\` is for ${names.join(', ')}` };
}

function isTest(name: string): name is Exclude<Test, 'equals'> {
  return Object.hasOwn(TESTS, name);
}

function isChange(name: string): name is Change {
  return Object.hasOwn(CHANGES, name);
}
