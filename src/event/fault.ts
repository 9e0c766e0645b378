// A fault in a value of a pipeline file (a template, a condition, a glob), told by the parser of that value.
// Parsers know nothing of YAML: they say where in the value the fault is, and `config/validate.ts` turns that
// into a line and a column.
import type { ConfigCode } from '../errors.js';

export interface Fault {
  code: ConfigCode;
  message: string;
  /** What to write instead. */
  hint?: string;
  /** Keys and indexes from the value down to the faulty part; empty or absent: the value itself. */
  path?: readonly (string | number)[];
  /** The fault is the key at `path`, not its value. */
  atKey?: boolean;
  /** Where in a string value (or, with `atKey`, in the key) the fault begins, in characters. */
  offset?: number;
}
