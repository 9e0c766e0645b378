// A file, or standard input, as the chunks that a source would give, from its beginning to its end: for commands that
// only look.
import { constants } from 'node:fs';
import { LineReader } from '../codec/lines.js';
import type { ByteSource, Piece } from '../codec/lines.js';
import { systemCode, UsageError } from '../errors.js';
import type { Chunk } from '../event/batch.js';
import { nodeFileSystem } from '../file-system.js';
import { Trail } from '../position/fingerprint.js';
import { GzipReader, PlainReader } from '../source/file/byte-reader.js';
import { StreamBytes } from '../source/stream-bytes.js';
import type { InputStream } from '../source/stream-bytes.js';

const READ_BYTES = 512 * 1024;
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** The chunks of a file, a `.gz` one inflated; `-` is standard input. Throws `UsageError` where it can't be read. */
export async function* readChunks(file: string): AsyncGenerator<Chunk> {
  if (file === '-') {
    yield* chunksOf(file, streamSource(process.stdin));
    return;
  }
  const fd = await nodeFileSystem.open(file, constants.O_RDONLY).catch((error: unknown) => {
    throw new UsageError('USAGE', `${file} can't be read: ${systemCode(error) ?? 'unknown'}`, { path: file });
  });
  try {
    const { isFile } = await nodeFileSystem.fstat(fd);
    if (!isFile) throw new UsageError('USAGE', `${file} is no ordinary file`, { path: file });
    const isGzip = file.endsWith('.gz');
    const reader = isGzip ? new GzipReader(nodeFileSystem, fd) : new PlainReader(nodeFileSystem, fd, 0);
    yield* chunksOf(file, reader);
    if (reader.damage !== undefined)
      throw new UsageError('USAGE', `${file} can't be inflated any further: ${reader.damage}`, {
        path: file,
      });
  } finally {
    await nodeFileSystem.close(fd);
  }
}

async function* chunksOf(file: string, source: ByteSource): AsyncGenerator<Chunk> {
  const lines = new LineReader({ path: file, maxLineBytes: MAX_LINE_BYTES, trail: new Trail() });
  const chunk = ({ data, offset, quarantined }: Piece): Chunk => {
    return { kind: 'chunk', data, path: file, file, offset, readAtMs: Date.now(), quarantined };
  };
  for (;;) {
    const { bytes, piece } = await lines.read(source, READ_BYTES);
    if (piece) yield chunk(piece);
    if (bytes === 0) break;
  }
  const rest = lines.takeRest();
  if (rest) yield chunk(rest);
}

/** Waits for more until the stream ends. */
function streamSource(stream: InputStream): ByteSource {
  const source = new StreamBytes(stream);
  return {
    async read(buffer, at, length) {
      for (;;) {
        const bytes = await source.read(buffer, at, length);
        if (bytes > 0) return bytes;
        if (source.fault)
          throw new UsageError('USAGE', `standard input can't be read: ${source.fault.message}`);
        if (source.isEnded) return 0;
        await source.wait();
      }
    },
  };
}
