// A few components for tests of the configuration, declared with every kind of option; they are never created.
import {
  bytes,
  count,
  directory,
  duration,
  flag,
  glob,
  listOf,
  oneOf,
  optional,
  pathTemplate,
  template,
  Type,
  when,
} from '../../src/config/schema.js';
import { defineProcessor, defineSink, defineSource } from '../../src/pipeline/component.js';
import type { ComponentDefinition } from '../../src/pipeline/component.js';

const create = () => {
  throw new Error('impossible: made for its declaration only');
};

const file = defineSource({
  name: 'file',
  summary: 'Follows files.',
  options: Type.Object({
    paths: listOf(glob({ description: 'What to follow.' }), {
      description: 'The files to follow.',
      minItems: 1,
      examples: [['/var/log/kube-audit/audit.log']],
    }),
    max_line_bytes: bytes({ description: 'The longest line.', default: '64MiB', formatMinimum: '1KiB' }),
    read_from: optional(
      oneOf(['beginning', 'end'], { description: 'Where to begin.', default: 'beginning' }),
    ),
    retain: optional(flag({ description: 'Keep what is unread.' })),
  }),
  examples: [],
  create,
});

const tag = defineProcessor({
  name: 'tag',
  summary: 'Tags events.',
  options: Type.Object({
    tag: template({ description: 'The tag.', examples: ['audit.{{ verb ?? "none" }}'] }),
  }),
  examples: [],
  create,
});

const drop = defineProcessor({
  name: 'drop',
  summary: 'Drops events.',
  options: Type.Object({ when: when({ description: 'Which.', examples: [{ stage: 'RequestReceived' }] }) }),
  examples: [],
  create,
});

const files = defineSink({
  name: 'files',
  summary: 'Writes files.',
  options: Type.Object({
    base_dir: directory({ description: 'Where.', examples: ['/var/log/audit'] }),
    path: pathTemplate({ description: 'Which file.', examples: ['{{ tag }}.log'] }),
    rotate: optional(
      Type.Object(
        {
          max_bytes: optional(bytes({ description: 'How large.', default: '100MiB' })),
          max_age: optional(duration({ description: 'How old.', examples: ['1h'] })),
          keep: optional(count({ description: 'How many.', minimum: 0, maximum: 1000, examples: [48] })),
        },
        { description: 'When to rotate.', default: {} },
      ),
    ),
    mode: optional(Type.String({ description: 'Permissions.', pattern: '^0[0-7]{3}$', default: '0640' })),
  }),
  examples: [],
  validate: ({ path, base_dir }) =>
    path === 'audit.log' && base_dir === '/'
      ? [{ code: 'CONFIG_PATH', message: `\`${base_dir}${path}\` is taken`, path: ['path'], offset: 2 }]
      : [],
  create,
});

const stdout = defineSink({
  name: 'stdout',
  summary: 'Prints events.',
  options: Type.Object({}),
  examples: [],
  create,
});

export const definitions: readonly ComponentDefinition[] = [file, tag, drop, files, stdout];
