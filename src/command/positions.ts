// `headgate positions`: shows how far each pipeline has read, and moves positions by hand: `reset` says where to go on,
// `rename` takes everything that is stored for a pipeline to its new name. Changing is refused while headgate runs.
import { readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HaltError, systemCode, UsageError } from '../errors.js';
import { nodeFileSystem } from '../file-system.js';
import { QUARANTINE } from '../pipeline/quarantine.js';
import { replaceFile, unlinkIfThere } from '../position/durable-file.js';
import type { Gap, PathPosition, PipelineRecord, SegmentRecord } from '../position/position.js';
import { encodeRecord } from '../position/record-file.js';
import { lockState, makeStateDirectory } from '../position/state-directory.js';
import { emptyRecord, positionPath, readRecord, storedPipelines } from '../position/store.js';

/** One followed path of one pipeline, as it is listed. */
export interface PositionRow {
  pipeline: string;
  path: string;
  /** The file being read; null where none was found yet. */
  file: string | null;
  offset: number;
  /** Size of the live file; null where there is none. */
  size: number | null;
  /** Bytes of the live file that are not committed; null while an older file is being read. */
  lag: number | null;
  /** How many gaps there were, and the newest of them. */
  gapCount: number;
  gaps: Gap[];
  savedAt: string;
}

/** Prints every position: a table on a terminal, else one JSON object a line. */
export async function listPositions(
  directory: string,
  output: NodeJS.WritableStream,
  isTable: boolean,
): Promise<number> {
  const rows: PositionRow[] = [];
  for (const pipeline of await storedPipelines(nodeFileSystem, directory)) {
    const found = await readRecord(nodeFileSystem, positionPath(directory, pipeline));
    if (!found) continue;
    for (const path of found.record.source.paths) rows.push(await rowOf(found.record, path));
  }
  output.write(isTable ? formatTable(rows) : rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return 0;
}

/** Says where a pipeline goes on: at the beginning of what exists, or at its end. Its outputs stay known. */
export async function resetPosition(
  directory: string,
  pipeline: string,
  to: 'beginning' | 'end',
): Promise<number> {
  return whileLocked(directory, async () => {
    const path = positionPath(directory, pipeline);
    const record = await readRecord(nodeFileSystem, path).catch((error: unknown) => {
      // A reset is the way out of exactly this.
      if (error instanceof HaltError && error.code === 'POSITION_DAMAGED') return undefined;
      throw error;
    });
    await save(path, { ...(record?.record ?? emptyRecord(pipeline)), source: { paths: [], readFrom: to } });
  });
}

/** Takes everything that is stored under one name to another; when it was broken off, the same call goes on. */
export async function renamePipeline(directory: string, from: string, to: string): Promise<number> {
  return whileLocked(directory, async () => {
    const found = await readRecord(nodeFileSystem, positionPath(directory, from));
    if (!found) throw new UsageError('POSITION_UNKNOWN', `no position is stored for ${from} in ${directory}`);
    if (await readRecord(nodeFileSystem, positionPath(directory, to))) {
      throw new UsageError('USAGE', `a position is stored for ${to} already: rename that one first`);
    }
    const renamed = (path: string): string => join(directory, to + path.slice(join(directory, from).length));
    const known = new Set(found.record.segments.map(({ path }) => path));
    for (const name of await readdir(directory)) {
      const path = join(directory, name);
      const isSideFile = name.startsWith(`${from}~`) || /^\.quarantine[.~]/.test(name.slice(from.length));
      if (name.startsWith(from) && isSideFile && !known.has(path)) await rename(path, renamed(path));
    }
    // A segment that is renamed in the record is renamed on disk by the next start, whatever happens in between.
    const segments = found.record.segments.map((segment): SegmentRecord => {
      if (segment.sink !== QUARANTINE) return segment;
      return {
        ...segment,
        path: renamed(segment.path),
        from: segment.from ?? segment.path,
        key: `${to}.quarantine.jsonl`,
      };
    });
    await save(positionPath(directory, to), { ...found.record, pipeline: to, segments });
    await unlinkIfThere(nodeFileSystem, positionPath(directory, from));
    await unlinkIfThere(nodeFileSystem, `${positionPath(directory, from)}.1`);
  });
}

async function whileLocked(directory: string, change: () => Promise<void>): Promise<number> {
  makeStateDirectory(directory);
  const lock = await lockState(directory);
  try {
    await change();
    return 0;
  } finally {
    await lock.release();
  }
}

async function save(path: string, record: PipelineRecord): Promise<void> {
  const savedAt = new Date().toISOString();
  await replaceFile(
    nodeFileSystem,
    path,
    encodeRecord({ ...record, generation: record.generation + 1, savedAt }),
  );
}

async function rowOf(record: PipelineRecord, position: PathPosition): Promise<PositionRow> {
  const { path, current, gapCount, gaps } = position;
  const live = await stat(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  const isLive = live !== undefined && live.ino === current?.ino && live.dev === current.dev;
  return {
    pipeline: record.pipeline,
    path,
    file: current?.name ?? null,
    offset: current?.offset ?? 0,
    size: live?.size ?? null,
    lag: isLive ? live.size - current.offset : null,
    gapCount,
    gaps,
    savedAt: record.savedAt,
  };
}

function formatTable(rows: readonly PositionRow[]): string {
  const header = ['PIPELINE', 'PATH', 'FILE', 'OFFSET', 'SIZE', 'LAG', 'GAPS', 'SAVED'];
  const lines = rows.map(({ pipeline, path, file, offset, size, lag, gapCount, savedAt }) =>
    [pipeline, path, file ?? '-', offset, size ?? '-', lag ?? '-', gapCount, savedAt].map(String),
  );
  const widths = header.map((title, i) =>
    Math.max(title.length, ...lines.map((line) => line[i]?.length ?? 0)),
  );
  const format = (line: readonly string[]): string =>
    line
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return [header, ...lines].map((line) => `${format(line)}\n`).join('');
}
