// Every source, processor and sink that a pipeline file can name: one line each. Validation, the editor schema and
// the manual walk this list.
import { dropProcessor } from './processor/drop.js';
import { keepProcessor } from './processor/keep.js';
import { tagProcessor } from './processor/tag.js';
import { filesSink } from './sink/files/index.js';
import { stdoutSink } from './sink/stdout.js';
import { fileSource } from './source/file/index.js';
import type { ComponentDefinition } from './pipeline/component.js';

/** All of them; a name is unique among those of its kind. */
export const components: readonly ComponentDefinition[] = [
  fileSource,
  tagProcessor,
  dropProcessor,
  keepProcessor,
  filesSink,
  stdoutSink,
];
