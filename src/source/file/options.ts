// What can be said of a `file` source in a pipeline file, and what it means in numbers.
import { join } from 'node:path';
import type { LineFormat } from '../../codec/decoder.js';
import { bytes, directory, duration, glob, listOf, oneOf, optional, Type } from '../../config/schema.js';
import type { Static } from '../../config/schema.js';
import { bytesOf, millisecondsOf } from '../../config/units.js';
import type { Fault } from '../../event/fault.js';
import type { SourceContext } from '../../pipeline/component.js';
import {
  checkLineOptions,
  formatOptions,
  lineFormatOf,
  maxLineBytesOf,
  maxLineBytesOption,
} from '../line-options.js';
import type { RetentionSettings } from './retention.js';

const DEFAULT_POLL_INTERVAL = '50ms';
const DEFAULT_RETAINED_BYTES = '10GiB';

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
    ...formatOptions,
    read_from: optional(
      oneOf(['beginning', 'end'], {
        description:
          'Where to begin when no position is stored. With `end` everything that exists at the first start is left out, backups too. A file that a glob finds later is always read from its beginning.',
        default: 'beginning',
      }),
    ),
    ...maxLineBytesOption,
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
  const faults = checkLineOptions(options);
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
    maxLineBytes: maxLineBytesOf(options),
    pollIntervalMs: millisecondsOf(options.poll_interval ?? DEFAULT_POLL_INTERVAL),
    lineFormat: lineFormatOf(options),
    retention: {
      isKeeping: options.retain_unread !== undefined,
      maxBytes: bytesOf(max_bytes ?? DEFAULT_RETAINED_BYTES),
      minFreeBytes: min_free_bytes === undefined ? undefined : bytesOf(min_free_bytes),
      directory: retain_dir ?? join(stateDirectory, `${pipeline}~retained`),
    },
  };
}
