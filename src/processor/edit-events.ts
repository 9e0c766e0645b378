// What all processors share that change events: they find the events, an edit says what becomes of the bytes of one, and
// the batch is rewritten once. An edit works on valid JSON: an event whose scan stopped early is read to its end first,
// and one that turns out to be broken goes to the quarantine, because nobody can say what else of it should go.
import type { EventBatch } from '../event/batch.js';
import { JsonEdits } from '../event/json-edit.js';
import { JsonReader } from '../event/json-reader.js';

const NOT_WHOLE = 'the event is not valid JSON behind its first fields, so it can not be changed safely';

/** Adds to `edits` what is to happen to the event whose brace is at `at`. */
export type EventEdit = (reader: JsonReader, at: number, edits: JsonEdits, i: number) => void;

/** Makes the function that changes those events of a batch for which `isWanted` holds. */
export function compileEdit(
  isWanted: (batch: EventBatch, i: number) => boolean,
  edit: (batch: EventBatch) => EventEdit,
): (batch: EventBatch) => void {
  const reader = new JsonReader();
  const edits = new JsonEdits();
  return (batch) => {
    const changes = [];
    const run = edit(batch);
    for (let i = 0; i < batch.size; i++) {
      if (batch.dropped[i] !== 0 || !isWanted(batch, i)) continue;
      reader.load(batch.data);
      const [start = 0, end = 0] = [batch.starts[i], batch.ends[i]];
      const at = reader.space(start);
      const valueEnd = reader.value(at);
      if (valueEnd < 0 || reader.space(valueEnd) !== end) {
        batch.reject(i, 'malformed', NOT_WHOLE);
        continue;
      }
      run(reader, at, edits, i);
      if (!edits.isEmpty) changes.push({ index: i, bytes: edits.apply(batch.data, start, end) });
    }
    batch.rewrite(changes);
  };
}
