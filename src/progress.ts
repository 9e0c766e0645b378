// One line on a terminal that says how far a foreground run is: bytes of the total, events a second, time left.
import type { PipelineMetrics } from './metrics.js';

const EVERY_MS = 200;

/** What the line tells of. */
export interface Progress {
  readonly metrics: Pick<PipelineMetrics, 'bytesRead' | 'events'>;
  /** Undefined where nobody knows: of a stream. */
  readonly remainingBytes: number | undefined;
}

/** Draws until the returned function is called, which wipes the line. Draws nothing where `output` is no terminal. */
export function showProgress(all: readonly Progress[], output: NodeJS.WriteStream): () => void {
  if (!output.isTTY) return () => undefined;
  const startedMs = performance.now();
  const draw = (): void => {
    output.write(`\r\x1b[K${progressLine(all, (performance.now() - startedMs) / 1000)}`);
  };
  const timer = setInterval(draw, EVERY_MS);
  return () => {
    clearInterval(timer);
    output.write('\r\x1b[K');
  };
}

/** `read 12.3 of 45.6 MB  20100 events/s  4 s left`. */
export function progressLine(all: readonly Progress[], seconds: number): string {
  let read = 0;
  let left = 0;
  let events = 0;
  let isKnown = true;
  for (const { metrics, remainingBytes } of all) {
    read += metrics.bytesRead;
    left += remainingBytes ?? 0;
    isKnown &&= remainingBytes !== undefined;
    events += metrics.events;
  }
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const rate = Math.round(events / Math.max(seconds, 0.001));
  if (!isKnown) return `read ${megabytes(read)} MB  ${rate} events/s`;
  const secondsLeft = read > 0 ? Math.ceil((left / read) * seconds) : undefined;
  const eta = secondsLeft === undefined ? '' : `  ${secondsLeft} s left`;
  return `read ${megabytes(read)} of ${megabytes(read + left)} MB  ${rate} events/s${eta}`;
}
