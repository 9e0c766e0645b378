// The one error hierarchy. A `code` is stable: operators alert on it, tests name it. The message says what
// happened, to what, and what to do, in lower case and without a full stop. Errors carry data (`path`,
// `offset`), never a whole event and never a secret.

/** Codes of faults in a pipeline file, as `headgate check` prints them. */
export type ConfigCode =
  | 'CONFIG_UNREADABLE'
  | 'CONFIG_EMPTY'
  | 'CONFIG_NONE_FOUND'
  | 'CONFIG_SYNTAX'
  | 'CONFIG_ALIASES'
  | 'CONFIG_DUPLICATE_KEY'
  | 'CONFIG_DUPLICATE_PIPELINE'
  | 'CONFIG_UNKNOWN_KEY'
  | 'CONFIG_MISSING'
  | 'CONFIG_TYPE'
  | 'CONFIG_VALUE'
  | 'CONFIG_UNIT'
  | 'CONFIG_UNKNOWN_COMPONENT'
  | 'CONFIG_MODIFIER'
  | 'CONFIG_WHEN'
  | 'CONFIG_FIELD'
  | 'CONFIG_TEMPLATE'
  | 'CONFIG_TEMPLATE_ABSENT'
  | 'CONFIG_GLOB'
  | 'CONFIG_ROUTE'
  | 'CONFIG_UNREACHABLE'
  | 'CONFIG_OTHERWISE'
  | 'CONFIG_SHARED_PATH'
  | 'CONFIG_SHARED_INPUT'
  | 'CONFIG_PATH'
  | 'CONFIG_ENV';

/** Codes of everything that can happen while running. */
export type RuntimeCode =
  | 'STATE_LOCKED'
  | 'STATE_UNUSABLE'
  | 'STATE_SOCKET_PATH'
  | 'POSITION_DAMAGED'
  | 'POSITION_VERSION'
  | 'POSITION_OTHER_NAME'
  | 'POSITION_UNKNOWN'
  | 'SOURCE_GAP'
  | 'SOURCE_PATH_MISSING'
  | 'SOURCE_READ'
  | 'SOURCE_MOUNT'
  | 'SOURCE_WAITING'
  | 'WEBHOOK_LISTENING'
  | 'WEBHOOK_REFUSED'
  | 'WEBHOOK_BODY'
  | 'WEBHOOK_SPOOL_FULL'
  | 'WEBHOOK_SECRET'
  | 'RETAIN_FAILED'
  | 'SINK_WAITING'
  | 'SINK_REJECTED'
  | 'SINK_TEMPLATE'
  | 'SINK_CLOSED'
  | 'QUARANTINE_FULL'
  | 'OUTPUT_TOUCHED'
  | 'OUTPUT_OVERFLOW'
  | 'OUTPUT_SYMLINK'
  | 'KEY_UNUSABLE'
  | 'DEADLINE'
  | 'DRAIN_TIMEOUT'
  | 'SEND_REFUSED'
  | 'SETUP_FAILED'
  | 'PIPELINE_HALTED'
  | 'USAGE';

export type Code = ConfigCode | RuntimeCode;

export interface ErrorData {
  cause?: unknown;
  path?: string;
  offset?: number;
  /** The component by its place in the configuration, `sinks.elastic`. */
  component?: string;
}

/** An error with a stable code. Bugs throw plain `Error('impossible: …')` instead. */
export class HeadgateError extends Error {
  readonly code: Code;
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly component: string | undefined;

  constructor(code: Code, message: string, data: ErrorData = {}) {
    super(message, data.cause === undefined ? undefined : { cause: data.cause });
    this.name = new.target.name;
    this.code = code;
    this.path = data.path;
    this.offset = data.offset;
    this.component = data.component;
  }
}

/** The command line or the environment is wrong: exit code 2, nothing was changed. */
export class UsageError extends HeadgateError {}

/** A pipeline can't go on: it halts, the others run on, the final exit code is 1. */
export class HaltError extends HeadgateError {}

/**
 * What a pipeline holds in memory no longer fits what is on disk: it starts again from its last commit, by itself.
 */
export class RestartError extends HeadgateError {}

/** The `code` of a system error (`ENOENT`, `ENOSPC`, …), or undefined for any other value. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}
