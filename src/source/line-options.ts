// The options of a source that say what its lines hold, for every source of lines.
import type { Static, TObject } from '@sinclair/typebox';
import type { LineFormat } from '../codec/decoder.js';
import { bytes, count, duration, oneOf, optional, Type } from '../config/schema.js';
import { bytesOf, millisecondsOf } from '../config/units.js';
import type { Fault } from '../event/fault.js';

const DEFAULT_MAX_LINE_BYTES = '64MiB';
const DEFAULT_MAX_OPEN = 10_000;
const DEFAULT_MAX_OPEN_BYTES = '16MiB';
const DEFAULT_MAX_OPEN_AGE = '5m';
const DEFAULT_MAX_PARTIAL_AGE = '1m';
// Places in a batch are 32-bit integers.
const LIMIT_MAX_LINE_BYTES = 2 ** 30;

/** `format` and what goes with it. */
export const formatOptions = {
  format: optional(
    oneOf(['auto', 'json', 'legacy', 'cri'], {
      description:
        "What a line holds: `json` is one event, or one EventList, as JSON; `legacy` is the log that the API server wrote before 1.8, and still writes with `--audit-log-format=legacy`; `cri` is what a container runtime wrote (containerd, CRI-O, Docker) when either was written to stdout, with lines of the API server's own log between; `auto` tells it for each line.",
      default: 'auto',
    }),
  ),
  legacy: optional(
    Type.Object(
      {
        max_open: optional(
          count({
            description: 'How many requests of one path may wait for their response.',
            default: DEFAULT_MAX_OPEN,
            minimum: 0,
            maximum: 1_000_000,
          }),
        ),
        max_open_bytes: optional(
          bytes({
            description: 'How long their lines may be together.',
            default: DEFAULT_MAX_OPEN_BYTES,
          }),
        ),
        max_open_age: optional(
          duration({
            description:
              'How long a request waits: by the times in the log, and where no line follows by the clock.',
            default: DEFAULT_MAX_OPEN_AGE,
          }),
        ),
      },
      {
        additionalProperties: false,
        description:
          'In the two-line legacy formats a request is an event when its response comes. These bound the requests that wait; beyond them the oldest becomes an event with the annotation `headgate.io/legacy: request-only`.',
      },
    ),
  ),
  cri: optional(
    Type.Object(
      {
        max_open_age: optional(
          duration({
            description:
              'How long the beginning of a line waits for the rest where no line of its stream follows. Then it is taken as it is.',
            default: DEFAULT_MAX_PARTIAL_AGE,
          }),
        ),
      },
      {
        additionalProperties: false,
        description:
          'A container runtime writes a long line in parts, which are joined. A joined line is bounded by `max_line_bytes`.',
      },
    ),
  ),
};

/** `max_line_bytes`, apart from `formatOptions` for the order in the manual. */
export const maxLineBytesOption = {
  max_line_bytes: optional(
    bytes({
      description:
        'How long a line may be. A longer one is quarantined with its first 64 KiB, and reading goes on behind it. At most 1GiB.',
      default: DEFAULT_MAX_LINE_BYTES,
    }),
  ),
};

/** All of them. */
export type LineOptions = Static<TObject<typeof formatOptions & typeof maxLineBytesOption>>;

/** What no single option says is wrong. */
export function checkLineOptions(options: LineOptions): Fault[] {
  const maxLineBytes = maxLineBytesOf(options);
  if (maxLineBytes >= 1 && maxLineBytes <= LIMIT_MAX_LINE_BYTES) return [];
  return [
    {
      code: 'CONFIG_VALUE',
      message: 'max_line_bytes must be between 1B and 1GiB',
      path: ['max_line_bytes'],
    },
  ];
}

/** How long a line may be. */
export function maxLineBytesOf(options: LineOptions): number {
  return bytesOf(options.max_line_bytes ?? DEFAULT_MAX_LINE_BYTES);
}

/** What the decoder needs to know. */
export function lineFormatOf(options: LineOptions): LineFormat {
  const { format, legacy, cri } = options;
  return {
    format: format ?? 'auto',
    openLimits: {
      maxEntries: legacy?.max_open ?? DEFAULT_MAX_OPEN,
      maxBytes: bytesOf(legacy?.max_open_bytes ?? DEFAULT_MAX_OPEN_BYTES),
      maxAgeMs: millisecondsOf(legacy?.max_open_age ?? DEFAULT_MAX_OPEN_AGE),
    },
    partialLimits: {
      maxLineBytes: maxLineBytesOf(options),
      maxAgeMs: millisecondsOf(cri?.max_open_age ?? DEFAULT_MAX_PARTIAL_AGE),
    },
  };
}
