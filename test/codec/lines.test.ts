import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { LineReader, QUARANTINE_RAW_BYTES } from '../../src/codec/lines.js';
import type { ByteSource, Piece } from '../../src/codec/lines.js';
import type { QuarantineEntry } from '../../src/event/batch.js';
import { Trail } from '../../src/position/fingerprint.js';

const KIB = 1024;

/** Gives the content in reads of at most so many bytes. */
function sourceOf(content: Buffer, readBytes = Infinity, largest = { room: 0 }): ByteSource {
  let offset = 0;
  return {
    async read(buffer, at, length) {
      largest.room = Math.max(largest.room, buffer.length);
      const bytes = content.copy(buffer, at, offset, offset + Math.min(length, readBytes));
      offset += bytes;
      return bytes;
    },
  };
}

interface Outcome {
  pieces: Piece[];
  lines: string;
  quarantined: QuarantineEntry[];
}

async function readAll(
  content: Buffer,
  options: { maxLineBytes: number; readBytes?: number; expected?: number; largest?: { room: number } },
): Promise<Outcome> {
  const reader = new LineReader({
    path: '/audit.log',
    maxLineBytes: options.maxLineBytes,
    trail: new Trail(),
  });
  const source = sourceOf(content, options.readBytes, options.largest);
  const pieces: Piece[] = [];
  for (;;) {
    const { bytes, piece } = await reader.read(source, options.expected ?? content.length);
    if (piece) pieces.push(piece);
    if (bytes === 0) break;
  }
  const rest = reader.takeRest();
  if (rest) pieces.push(rest);
  return {
    pieces,
    lines: Buffer.concat(pieces.map((p) => p.data)).toString('latin1'),
    quarantined: pieces.flatMap((p) => p.quarantined),
  };
}

t.test('every piece ends with a newline and begins where the last one ended', async (t) => {
  const content = Buffer.from('a\nbb\nccc\ndddd\n');
  const { pieces, lines } = await readAll(content, { maxLineBytes: 100, readBytes: 4 });
  t.equal(lines, content.toString());
  let offset = 0;
  for (const piece of pieces) {
    t.equal(piece.offset, offset);
    t.equal(piece.data.at(-1), 0x0a);
    t.equal(piece.bytes, piece.data.length);
    offset += piece.bytes;
  }
  t.equal(offset, content.length);
});

t.test('an unfinished last line is kept until it is complete or the file is done', async (t) => {
  const reader = new LineReader({ path: '/audit.log', maxLineBytes: 100, trail: new Trail() });
  const source = sourceOf(Buffer.from('whole\nhalf a li'));
  const { piece } = await reader.read(source, 100);
  t.equal(piece?.data.toString(), 'whole\n');
  t.equal(reader.trail.offset, 6);
  t.equal(reader.readOffset, 15);
  t.equal((await reader.read(source, 100)).bytes, 0);
  t.equal(reader.takeRest()?.data.toString(), 'half a li');
  t.equal(reader.trail.offset, 15);
  t.equal(reader.takeRest(), undefined, 'once');
});

t.test('a line of exactly the longest length passes, one byte more is quarantined', async (t) => {
  for (const readBytes of [1, 7, 64, Infinity]) {
    const long = 'x'.repeat(51);
    const content = Buffer.from(`first\n${'y'.repeat(50)}\n${long}\nlast\n`);
    const { lines, quarantined } = await readAll(content, { maxLineBytes: 50, readBytes });
    t.equal(lines, `first\n${'y'.repeat(50)}\nlast\n`, `reads of ${readBytes}`);
    t.match(quarantined, [{ reason: 'too_long', path: '/audit.log', offset: 57, length: 51 }]);
    t.equal(quarantined[0]?.raw.toString(), long);
  }
});

t.test('of a line that is too long the beginning and the length are kept, in little memory', async (t) => {
  const length = 30 * KIB * KIB;
  const content = Buffer.concat([Buffer.from('a\n'), Buffer.alloc(length, 'z'), Buffer.from('\nb\n')]);
  const largest = { room: 0 };
  const { lines, quarantined } = await readAll(content, { maxLineBytes: 100 * KIB, largest });
  t.equal(lines, 'a\nb\n');
  t.match(quarantined, [{ reason: 'too_long', offset: 2, length }]);
  t.equal(quarantined[0]?.raw.length, QUARANTINE_RAW_BYTES);
  t.ok(largest.room <= 1024 * KIB, `largest buffer ${largest.room}`);
});

t.test('a line that is too long and never ends is quarantined at the end of the file', async (t) => {
  const { lines, quarantined } = await readAll(Buffer.from(`a\n${'x'.repeat(200)}`), { maxLineBytes: 50 });
  t.equal(lines, 'a\n');
  t.match(quarantined, [{ reason: 'too_long', offset: 2, length: 200 }]);
});

t.test('a hole of NUL bytes does not take the event behind it along', async (t) => {
  for (const readBytes of [1, 10, 33, Infinity]) {
    const content = Buffer.concat([
      Buffer.from('before\n'),
      Buffer.alloc(500),
      Buffer.from('{"event":1}\n{"event":2}\n'),
    ]);
    const { lines, quarantined, pieces } = await readAll(content, { maxLineBytes: 50, readBytes });
    t.equal(lines, 'before\n{"event":1}\n{"event":2}\n');
    t.match(quarantined, [{ reason: 'torn', offset: 7, length: 500, detail: /NUL/ }]);
    t.ok(quarantined[0]?.raw.every((byte) => byte === 0));
    t.equal(
      pieces.reduce((sum, piece) => sum + piece.bytes, 0),
      content.length,
    );
  }
});

t.test('a line behind a hole that is itself too long is quarantined apart from the hole', async (t) => {
  const content = Buffer.concat([Buffer.alloc(80), Buffer.alloc(90, 'x'), Buffer.from('\nnext\n')]);
  const { lines, quarantined } = await readAll(content, { maxLineBytes: 50 });
  t.equal(lines, 'next\n');
  t.match(quarantined, [
    { reason: 'torn', offset: 0, length: 80 },
    { reason: 'too_long', offset: 80, length: 90 },
  ]);
});

t.test('a hole at the end of a file is quarantined', async (t) => {
  const { lines, quarantined } = await readAll(Buffer.alloc(120), { maxLineBytes: 50 });
  t.equal(lines, '');
  t.match(quarantined, [{ reason: 'torn', offset: 0, length: 120 }]);
});

t.test('few NUL bytes in front of a line are left to the decoder', async (t) => {
  const content = Buffer.concat([Buffer.alloc(10), Buffer.from('{}\n')]);
  const { pieces, quarantined } = await readAll(content, { maxLineBytes: 50 });
  t.same(Buffer.concat(pieces.map((p) => p.data)), content);
  t.same(quarantined, []);
});

t.test('memory follows what is there, not the longest line', async (t) => {
  const largest = { room: 0 };
  await readAll(Buffer.from('small\n'), { maxLineBytes: 64 * KIB * KIB, expected: 6, largest });
  t.ok(largest.room <= 64 * KIB, `largest buffer ${largest.room}`);
});

t.test('a long line that arrives in small parts is copied a bounded number of times', async (t) => {
  const content = Buffer.concat([Buffer.alloc(8 * KIB * KIB, 'q'), Buffer.from('\n')]);
  const buffers = new Set<Buffer>();
  let offset = 0;
  const source: ByteSource = {
    async read(buffer, at, length) {
      buffers.add(buffer);
      const bytes = content.copy(buffer, at, offset, offset + Math.min(length, 1000));
      offset += bytes;
      return bytes;
    },
  };
  const reader = new LineReader({ path: '/audit.log', maxLineBytes: 64 * KIB * KIB, trail: new Trail() });
  let piece: Piece | undefined;
  while (!piece) ({ piece } = await reader.read(source, 1000));
  t.ok(piece.data.equals(content));
  t.ok(buffers.size < 20, `${buffers.size} buffers`);
});

t.test('a read that fails can be repeated', async (t) => {
  const good = sourceOf(Buffer.from('a\nb\nc'));
  let calls = 0;
  const source: ByteSource = {
    async read(buffer, at, length) {
      if (++calls % 2 === 1) throw new Error('EIO');
      return good.read(buffer, at, Math.min(length, 3));
    },
  };
  const reader = new LineReader({ path: '/audit.log', maxLineBytes: 100, trail: new Trail() });
  const data: Buffer[] = [];
  for (let i = 0; i < 8; i++) {
    const result = await reader.read(source, 10).catch(() => undefined);
    if (result?.piece) data.push(result.piece.data);
  }
  const rest = reader.takeRest();
  t.equal(Buffer.concat([...data, rest?.data ?? Buffer.alloc(0)]).toString(), 'a\nb\nc');
});

t.test('for any content and any reads, pieces and quarantine are the content', async (t) => {
  // Lines of NUL bytes, of letters, short and too long, with and without newline at the end.
  const part = fc.oneof(
    fc.nat(60).map((n) => Buffer.alloc(n, 'x')),
    fc.nat(60).map((n) => Buffer.alloc(n)),
    fc.constant(Buffer.from('\n')),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 30 }),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 40 }),
      async (parts, maxLineBytes, readBytes) => {
        const content = Buffer.concat(parts);
        const { pieces } = await readAll(content, { maxLineBytes, readBytes });
        const rebuilt = Buffer.alloc(content.length, '\n');
        let end = 0;
        for (const piece of pieces) {
          for (const entry of piece.quarantined) {
            assert.ok(entry.offset >= end, 'in order');
            assert.equal(entry.raw.length, entry.length);
            entry.raw.copy(rebuilt, entry.offset);
            if (entry.reason === 'too_long') assert.ok(entry.length > maxLineBytes, 'only what is too long');
          }
          piece.data.copy(rebuilt, piece.offset);
          for (const line of piece.data.toString('latin1').split('\n'))
            assert.ok(line.length <= maxLineBytes, 'no longer line passes');
          end += piece.bytes;
          assert.equal(end, piece.offset + piece.data.length);
        }
        assert.equal(end, content.length);
        assert.ok(rebuilt.equals(content));
      },
    ),
    { numRuns: 500 },
  );
  t.pass();
});
