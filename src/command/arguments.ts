// The arguments of a command: what is wrong with them is a `UsageError`.
import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { parseDuration } from '../config/units.js';
import { UsageError } from '../errors.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Options and what else was written; an option that is not listed is a fault. */
export function parse(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(
      'USAGE',
      `${error instanceof Error ? error.message : String(error)}; see headgate --help`,
    );
  }
}

/** The value of an option that takes one, where it was given. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Milliseconds of an option such as `--deadline 10m`. */
export function duration(option: string, value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined)
    throw new UsageError('USAGE', `--${option} ${value} is no duration: write 30s or 10m`);
  return ms;
}
