// Every source, processor and sink that a pipeline file can name: one line each. Validation, the editor schema and
// the manual walk this list.
import { dropProcessor } from './processor/drop.js';
import { keepProcessor } from './processor/keep.js';
import { redactProcessor } from './processor/redact/index.js';
import { removeProcessor } from './processor/remove.js';
import { sampleProcessor } from './processor/sample.js';
import { setProcessor } from './processor/set.js';
import { tagProcessor } from './processor/tag.js';
import { truncateProcessor } from './processor/truncate.js';
import { elasticsearchSink } from './sink/elasticsearch/index.js';
import { filesSink } from './sink/files/index.js';
import { stdoutSink } from './sink/stdout.js';
import { fileSource } from './source/file/index.js';
import { stdinSource } from './source/stdin.js';
import { webhookSource } from './source/webhook/index.js';
import type { ComponentDefinition } from './pipeline/component.js';

/** All of them; a name is unique among those of its kind. */
export const components: readonly ComponentDefinition[] = [
  fileSource,
  webhookSource,
  stdinSource,
  tagProcessor,
  dropProcessor,
  keepProcessor,
  sampleProcessor,
  setProcessor,
  removeProcessor,
  redactProcessor,
  truncateProcessor,
  filesSink,
  elasticsearchSink,
  stdoutSink,
];
