// What can be said of a `files` sink in a pipeline file. Validation fills the defaults in, so whoever gets the options
// finds all but the open-ended limits set.
import {
  bytes,
  count,
  directory,
  duration,
  oneOf,
  optional,
  pathTemplate,
  Type,
} from '../../config/schema.js';
import type { Static } from '../../config/schema.js';

const rotateOptions = Type.Object(
  {
    max_bytes: bytes({
      description: 'Close a file before it becomes larger than this.',
      default: '100MiB',
      examples: ['100MiB'],
    }),
    max_age: optional(
      duration({
        description: 'Close a file this long after it was begun. Without it, age closes no file.',
        examples: ['1h'],
      }),
    ),
    keep: optional(
      count({
        description: 'How many closed files to keep per rendered path without its time. Without it, all.',
        minimum: 0,
        examples: [48],
      }),
    ),
    keep_bytes: optional(
      bytes({
        description: 'How many bytes of closed files to keep per rendered path without its time.',
        examples: ['1GiB'],
      }),
    ),
    keep_age: optional(duration({ description: 'How long to keep closed files.', examples: ['7d'] })),
    keep_total_bytes: optional(
      bytes({
        description: 'How many bytes of closed files to keep in the whole sink; the oldest go first.',
        examples: ['50GiB'],
      }),
    ),
  },
  { additionalProperties: false, description: 'When files are closed and pruned.', default: {} },
);

export const filesOptions = Type.Object({
  base_dir: directory({
    description: 'The directory that holds every file of this sink; made (0750) where it does not exist.',
    examples: ['/var/log/audit-by-namespace'],
  }),
  path: pathTemplate({
    description:
      'The file of an event, relative to `base_dir`. Each `{{ }}` becomes part of exactly one path segment; `%Y %m %d %H %M %S %j` stand for the event time in UTC and make time slices.',
    examples: ['{{ tag }}.%Y%m%d%H.log'],
  }),
  rotate: rotateOptions,
  compress: oneOf(['on_rotate', 'stream', 'none'], {
    description:
      '`on_rotate`: a closed file is replaced by its `.gz`, which appears under its name only when it is whole. `stream`: a file is a `.gz` from the start, a series of whole gzip members; plain bytes never reach the disk, and `max_bytes` counts compressed ones. `none`: files stay plain.',
    default: 'none',
  }),
  mode: Type.String({
    description: 'Permissions of the files, octal; not subject to the umask.',
    default: '0640',
    pattern: '^0[0-7]{3}$',
  }),
  durability: oneOf(['fsync', 'write'], {
    description:
      '`fsync`: what is committed survives a power cut. `write`: it survives a kill of the process, not of the machine.',
    default: 'fsync',
  }),
  flush_interval: optional(
    duration({
      description:
        'An event can be read in its file at most this long after it was accepted. Default: `20ms`; with `compress: stream` `30s`, since each time ends a gzip member, and so does each commit: longer members are smaller.',
      examples: ['20ms'],
    }),
  ),
  grace: duration({
    description:
      'How long after its end a time slice still takes late events; later ones begin a numbered file.',
    default: '5m',
  }),
  max_tags: optional(
    count({
      description:
        'How many rendered paths, not counting their time, get files of their own. Events of further ones go to one more file, whose path has `%~overflow` for each value. A path counts until none of its files is left. Without it, there is no limit.',
      minimum: 1,
      examples: [10000],
    }),
  ),
  max_open_files: count({
    description:
      'How many files are held open; the least recently used are closed and opened again when needed.',
    minimum: 1,
    default: 512,
  }),
});

export type FilesOptions = Static<typeof filesOptions>;
