// The open requests of a path: whatever comes and goes, they are what a Map by id, in the order of coming, would hold.
import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { ID } from '../../src/codec/legacy-keys.js';
import type { LegacyLine } from '../../src/codec/legacy-line.js';
import { OpenRequest, OpenRequests } from '../../src/codec/legacy-open.js';
import { readLine, requestLine, responseLine } from '../helpers/legacy.js';
import { randomRuns } from '../helpers/random-runs.js';

function opened(id: string): OpenRequest {
  const request = new OpenRequest();
  const data = Buffer.from(requestLine(id));
  assert.ok(request.line.read(data, 0, data.length));
  return request;
}

function idOf(line: LegacyLine): string {
  return line.data.toString('utf8', line.startOf(ID), line.endOf(ID));
}

function idsOf(open: OpenRequests): string[] {
  const ids = [];
  for (let request = open.oldest; request; request = request.newer) ids.push(idOf(request.line));
  const backwards = [];
  for (let request = open.newest; request; request = request.older) backwards.push(idOf(request.line));
  assert.deepEqual(backwards.reverse(), ids);
  return ids;
}

const few = fc.constantFrom(
  '',
  'a',
  'b',
  'abc',
  'abcd',
  'abce',
  'abcda',
  'é',
  'è',
  'a"',
  '0706778a-2a76',
  '0706778a-2a77',
);

t.test(
  'whatever opens and closes, in whatever order, the rest is found by id and stays in order',
  async () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(few, fc.boolean()), { maxLength: 60 }), (steps) => {
        const open = new OpenRequests();
        const expected = new Map<string, number>();
        for (const [id, mayOpen] of steps) {
          const request = open.find(readLine(responseLine(id)));
          const { line } = opened(id);
          assert.equal(request !== undefined, expected.delete(idOf(line)));
          if (request) open.remove(request);
          if (mayOpen) {
            open.add(opened(id));
            expected.set(idOf(line), line.end - line.start);
          }
          assert.deepEqual(idsOf(open), [...expected.keys()]);
          assert.equal(open.size, expected.size);
          assert.equal(
            open.bytes,
            [...expected.values()].reduce((sum, bytes) => sum + bytes, 0),
          );
        }
      }),
      { numRuns: randomRuns(500) },
    );
  },
);

t.test('any number may be open', async (t) => {
  const open = new OpenRequests();
  const ids = Array.from({ length: 3000 }, (_, i) => `request ${i}`);
  for (const id of ids) open.add(opened(id));
  const odd = ids.filter((_, i) => i % 2 === 1);
  for (const id of ids) {
    const request = open.find(readLine(responseLine(id)));
    assert.equal(request && idOf(request.line), id);
    if (request && !odd.includes(id)) open.remove(request);
  }
  t.same(idsOf(open), odd);
  t.equal(open.find(readLine(responseLine(ids[0] ?? ''))), undefined);
});
