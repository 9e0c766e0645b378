// The splitter against a split of the whole content at once, whatever the reads and the longest line.
import t from 'tap';
import fc from 'fast-check';
import { LineReader } from '../../src/codec/lines.js';
import { Trail } from '../../src/position/fingerprint.js';
import { randomRuns } from '../helpers/random-runs.js';

interface Outcome {
  /** What is given out as lines. */
  data: string;
  /** Reason, offset, length and bytes of each entry, in order. */
  quarantined: [string, number, number, string][];
}

function splitNaively(content: string, maxLineBytes: number): Outcome {
  const outcome: Outcome = { data: '', quarantined: [] };
  for (const { 0: whole, index } of content.matchAll(/[^\n]*\n|[^\n]+$/g)) {
    const end = whole.endsWith('\n') ? '\n' : '';
    let line = whole.slice(0, whole.length - end.length);
    let offset = index;
    if (line.length > maxLineBytes && line.startsWith('\0')) {
      const hole = /^\0+/.exec(line)?.[0] ?? '';
      outcome.quarantined.push(['torn', offset, hole.length, hole]);
      offset += hole.length;
      line = line.slice(hole.length);
    }
    if (line.length > maxLineBytes) outcome.quarantined.push(['too_long', offset, line.length, line]);
    else outcome.data += line + end;
  }
  return outcome;
}

async function split(
  content: Buffer,
  maxLineBytes: number,
  reads: readonly number[],
  expected: number,
): Promise<Outcome> {
  const reader = new LineReader({ path: '/audit.log', maxLineBytes, trail: new Trail() });
  const outcome: Outcome = { data: '', quarantined: [] };
  let offset = 0;
  let count = 0;
  let end = 0;
  const take = (piece: Awaited<ReturnType<LineReader['read']>>['piece']): void => {
    if (!piece) return;
    end += piece.bytes;
    if (piece.offset + piece.data.length !== end) throw new Error('a piece does not end where its bytes do');
    outcome.data += piece.data.toString('latin1');
    for (const { reason, offset, length, raw } of piece.quarantined)
      outcome.quarantined.push([reason, offset, length, raw.toString('latin1')]);
  };
  for (;;) {
    const { bytes, piece } = await reader.read(
      {
        async read(buffer, at, length) {
          const most = reads[count++ % reads.length] ?? 1;
          const copied = content.copy(buffer, at, offset, offset + Math.min(length, most));
          offset += copied;
          return copied;
        },
      },
      expected,
    );
    take(piece);
    if (bytes === 0) break;
  }
  take(reader.takeRest());
  if (end !== content.length) throw new Error(`${end} bytes came out of ${content.length}`);
  return outcome;
}

const part = fc.oneof(
  fc.constant('\n'),
  fc.nat(40).map((length) => 'x'.repeat(length)),
  fc.nat(40).map((length) => '\0'.repeat(length)),
  fc.constantFrom('{"a":"\\n"}', '\r\n', '\n\n\n', '\xff\xfe', '\0x\0'),
);

t.test('lines and quarantine are those of a naive split, for any reads and any longest line', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 40 }).map((parts) => parts.join('')),
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 200 }),
      async (content, maxLineBytes, reads, expected) => {
        const found = await split(Buffer.from(content, 'latin1'), maxLineBytes, reads, expected);
        return JSON.stringify(found) === JSON.stringify(splitNaively(content, maxLineBytes));
      },
    ),
    { numRuns: randomRuns(2_000) },
  );
  t.pass('for all runs');
});
