// `headgate check --input FILE`: what a pipeline would do with each event of a file. Nothing is written.
import { once } from 'node:events';
import type { PipelineConfig } from '../config/pipeline-config.js';
import type { Chunk } from '../event/batch.js';
import { UsageError } from '../errors.js';
import { PipelineTrace } from '../pipeline/trace.js';
import type { Traced } from '../pipeline/trace.js';
import { printable } from './printable.js';
import { readChunks } from './read-chunks.js';

const NEWLINE = 0x0a;

/** Prints what becomes of each event: text for people, else one JSON object a line. */
export async function checkInput(
  configs: readonly PipelineConfig[],
  file: string,
  output: NodeJS.WritableStream,
  isForPeople: boolean,
): Promise<void> {
  if (file === '-' && configs.length > 1)
    throw new UsageError('USAGE', 'standard input can be read once only: name one pipeline');
  for (const config of configs) {
    const trace = new PipelineTrace(config);
    await trace.open();
    if (isForPeople) output.write(`${config.name}\n`);
    const counts = { routed: 0, dropped: 0, quarantined: 0 };
    // Of all lines: an event can begin chunks before it ends.
    const starts: number[] = [];
    const tell = async (all: Traced[]): Promise<void> => {
      let text = '';
      for (const traced of all) {
        const line = 1 + numberOf(starts, traced.offset);
        counts[traced.outcome]++;
        text += isForPeople
          ? textOf(traced, line)
          : `${JSON.stringify({ pipeline: config.name, line, ...plain(traced) })}\n`;
      }
      // A log is larger than memory, and its reader may be slow.
      if (!output.write(text)) await once(output, 'drain');
    };
    for await (const chunk of readChunks(file)) {
      // Before the trace: it gives the memory away.
      addLineStarts(starts, chunk);
      await tell(trace.trace(chunk));
    }
    await tell(trace.end());
    if (isForPeople)
      output.write(
        `  ${counts.routed} delivered, ${counts.dropped} dropped, ${counts.quarantined} quarantined\n`,
      );
  }
}

/** Adds the offsets of the lines of a chunk. */
function addLineStarts(starts: number[], { data, offset }: Chunk): void {
  for (let at = 0; at < data.length;) {
    starts.push(offset + at);
    const newline = data.indexOf(NEWLINE, at);
    at = newline < 0 ? data.length : newline + 1;
  }
}

/** The index of the line that holds `offset`. */
function numberOf(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function plain(traced: Traced): object {
  if (traced.outcome === 'quarantined') return traced;
  const { event, ...rest } = traced;
  return rest.outcome === 'routed'
    ? { ...rest, route: rest.route + 1, bytes: event.length }
    : { ...rest, bytes: event.length };
}

function textOf(traced: Traced, line: number): string {
  const head = `  line ${line}  `;
  switch (traced.outcome) {
    case 'quarantined':
      return `${head}quarantined: ${traced.reason}: ${traced.detail}\n`;
    case 'dropped':
      return `${head}${printable(traced.tag)}  dropped by ${traced.by}\n`;
    case 'routed': {
      const to = traced.to.map(({ sink, at }) => `${sink}: ${printable(at)}`).join(', ');
      return `${head}${printable(traced.tag)}  route ${traced.route + 1}  ${to}\n`;
    }
  }
}
