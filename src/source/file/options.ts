// What can be said of a `file` source in a pipeline file, and what it means in numbers.
import { join } from 'node:path';
import type { LineFormat } from '../../codec/decoder.js';
import {
  bytes,
  count,
  directory,
  duration,
  glob,
  listOf,
  oneOf,
  optional,
  Type,
} from '../../config/schema.js';
import type { Static } from '../../config/schema.js';
import { bytesOf, millisecondsOf } from '../../config/units.js';
import type { Fault } from '../../event/fault.js';
import type { SourceContext } from '../../pipeline/component.js';
import type { RetentionSettings } from './retention.js';

const DEFAULT_MAX_LINE_BYTES = '64MiB';
const DEFAULT_POLL_INTERVAL = '50ms';
const DEFAULT_MAX_OPEN = 10_000;
const DEFAULT_MAX_OPEN_BYTES = '16MiB';
const DEFAULT_MAX_OPEN_AGE = '5m';
const DEFAULT_RETAINED_BYTES = '10GiB';
// Places in a batch are 32-bit integers.
const LIMIT_MAX_LINE_BYTES = 2 ** 30;

/** The options as numbers. */
export interface FileSourceSettings {
  paths: readonly string[];
  readFrom: 'beginning' | 'end';
  maxLineBytes: number;
  pollIntervalMs: number;
  lineFormat?: LineFormat;
  retention: RetentionSettings;
}

/** The options as they are written. */
export const fileOptions = Type.Object(
  {
    paths: listOf(
      glob({
        description:
          'An absolute path of a live file, or a glob over such paths. Backups belong to their live file and need no glob.',
      }),
      {
        description:
          'The live files to follow, each on its own. A path need not exist yet; new files that a glob matches are found while running.',
        minItems: 1,
        examples: [['/var/log/kube-audit/audit.log']],
      },
    ),
    format: optional(
      oneOf(['auto', 'json', 'legacy'], {
        description:
          'What a line holds: `json` is one event, or one EventList, as JSON; `legacy` is the log that the API server wrote before 1.8, and still writes with `--audit-log-format=legacy`; `auto` tells it for each line.',
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
    read_from: optional(
      oneOf(['beginning', 'end'], {
        description:
          'Where to begin when no position is stored. With `end` everything that exists at the first start is left out, backups too. A file that a glob finds later is always read from its beginning.',
        default: 'beginning',
      }),
    ),
    max_line_bytes: optional(
      bytes({
        description:
          'How long a line may be. A longer one is quarantined with its first 64 KiB, and reading goes on behind it. At most 1GiB.',
        default: DEFAULT_MAX_LINE_BYTES,
      }),
    ),
    poll_interval: optional(
      duration({
        description:
          'How often a file is looked at where the file system does not signal a change. Each look is one `stat`.',
        default: DEFAULT_POLL_INTERVAL,
      }),
    ),
    retain_unread: optional(
      Type.Object(
        {
          max_bytes: bytes({
            description:
              'How much of the disk unread backups may take that kube-apiserver has pruned, held open and kept together. Beyond it the oldest are given up, each with a `SOURCE_GAP`.',
            default: DEFAULT_RETAINED_BYTES,
          }),
          min_free_bytes: optional(
            bytes({
              description:
                'They are also given up while the file system that they are on has less room than this. By default 1GiB, or 5 % of a file system that is smaller than 20GiB.',
              examples: ['1GiB'],
            }),
          ),
          retain_dir: optional(
            directory({
              description:
                'Where they are kept, best on the file system of the log: then nothing is copied. Its parent must exist. By default a directory in the state directory.',
              examples: ['/var/log/kube-audit-retained'],
            }),
          ),
        },
        {
          additionalProperties: false,
          description:
            'Keep backups that are not delivered yet from being lost when kube-apiserver prunes them, also while Headgate is restarted: by a hard link as soon as they are seen, else by sharing their blocks, else by a copy once they have not been read for 5 seconds. Without it they are only held open, within the same bounds.',
          examples: [{}],
        },
      ),
    ),
  },
  { additionalProperties: false },
);

/** Faults that no option has by its kind alone. */
export function validateFileOptions(options: Static<typeof fileOptions>): Fault[] {
  const faults: Fault[] = [];
  const maxLineBytes = bytesOf(options.max_line_bytes ?? DEFAULT_MAX_LINE_BYTES);
  if (maxLineBytes < 1 || maxLineBytes > LIMIT_MAX_LINE_BYTES)
    faults.push({
      code: 'CONFIG_VALUE',
      message: 'max_line_bytes must be between 1B and 1GiB',
      path: ['max_line_bytes'],
    });
  if (millisecondsOf(options.poll_interval ?? DEFAULT_POLL_INTERVAL) < 1)
    faults.push({
      code: 'CONFIG_VALUE',
      message: 'poll_interval must be at least 1ms',
      path: ['poll_interval'],
    });
  return faults;
}

/** Fills in what is not said. */
export function settingsOf(
  options: Static<typeof fileOptions>,
  { pipeline, stateDirectory }: Pick<SourceContext, 'pipeline' | 'stateDirectory'>,
): FileSourceSettings {
  const { max_bytes, min_free_bytes, retain_dir } = options.retain_unread ?? {};
  return {
    paths: options.paths,
    readFrom: options.read_from ?? 'beginning',
    maxLineBytes: bytesOf(options.max_line_bytes ?? DEFAULT_MAX_LINE_BYTES),
    pollIntervalMs: millisecondsOf(options.poll_interval ?? DEFAULT_POLL_INTERVAL),
    lineFormat: {
      format: options.format ?? 'auto',
      openLimits: {
        maxEntries: options.legacy?.max_open ?? DEFAULT_MAX_OPEN,
        maxBytes: bytesOf(options.legacy?.max_open_bytes ?? DEFAULT_MAX_OPEN_BYTES),
        maxAgeMs: millisecondsOf(options.legacy?.max_open_age ?? DEFAULT_MAX_OPEN_AGE),
      },
    },
    retention: {
      isKeeping: options.retain_unread !== undefined,
      maxBytes: bytesOf(max_bytes ?? DEFAULT_RETAINED_BYTES),
      minFreeBytes: min_free_bytes === undefined ? undefined : bytesOf(min_free_bytes),
      directory: retain_dir ?? join(stateDirectory, `${pipeline}~retained`),
    },
  };
}
