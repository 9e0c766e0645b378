// What a legacy entry says as an event of audit.k8s.io/v1: the bytes that the API server's JSON log would have for what
// the entry holds, in the order of its Go struct, at level Metadata. What an entry does not say is left out:
// `<none>`, `<self>`, `<lookup>`, `<unknown>` and `<deferred>` are ways to say nothing (pkg/audit/format.go).
//
// Times: a request line has the time when the request was received, a response line when the response began. A line that
// is both has the time when the request was received, whatever its stage (`RequestReceivedTimestamp` there), so only
// at stage RequestReceived is that the time of the stage too.
//
// Parts that were written before for the same bytes are copied (`legacy-known.ts`). Invariant: they are what would be
// written without.
import { CLOSE_BRACE } from '../event/json-reader.js';
import { Constant } from '../event/json-writer.js';
import type { JsonWriter } from '../event/json-writer.js';
import { CallerWriter } from './legacy-caller.js';
import * as fields from './legacy-fields.js';
import type { NotedFields } from './legacy-fields.js';
import { ID, RESPONSE, STAGE, URI } from './legacy-keys.js';
import { callerTraits, isReceived, KnownParts, methodOfTraits, targetSalt } from './legacy-known.js';
import type { LegacyLine } from './legacy-line.js';
import { fragment, LegacyOutput, NO_KEY } from './legacy-output.js';
import { methodIndex, methodOf, TargetWriter } from './legacy-target.js';
import { QUOTED_TIME_BYTES, TimeWriter } from './legacy-time.js';

const RECEIVED = Buffer.from('RequestReceived');

const END = new Constant('}\n');
const BEGINNING = fragment('{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":', [
  [fields.KIND, '"Event"'],
  [fields.API_VERSION, '"audit.k8s.io/v1"'],
  [fields.LEVEL, '"Metadata"'],
]);
const STAGE_KEY = new Constant(',"stage":');
const STAGE_RECEIVED = fragment(',"stage":"RequestReceived"', [[fields.STAGE, '"RequestReceived"']]);
const STAGE_COMPLETE = fragment(',"stage":"ResponseComplete"', [[fields.STAGE, '"ResponseComplete"']]);
const NO_REQUEST = fragment(',"requestURI":"","verb":"","user":{}', [
  [fields.REQUEST_URI, '""'],
  [fields.VERB, '""'],
  [fields.USER, '{}'],
]);
const STATUS_KEY = fragment(',"responseStatus":{"metadata":{},"code":', [[fields.METADATA, '{}']]);
/** From the brace of the status to its code. */
const BEFORE_CODE = '{"metadata":{},"code":'.length;
const REQUEST_ONLY = fragment(',"annotations":{"headgate.io/legacy":"request-only"}', [
  [fields.ANNOTATIONS, '{"headgate.io/legacy":"request-only"}'],
  [fields.HALF, '"request-only"'],
]);
const RESPONSE_ONLY = fragment(',"annotations":{"headgate.io/legacy":"response-only"}', [
  [fields.ANNOTATIONS, '{"headgate.io/legacy":"response-only"}'],
  [fields.HALF, '"response-only"'],
]);

export class LegacyEventWriter {
  readonly #known: KnownParts;
  readonly #output = new LegacyOutput();
  readonly #callers = new CallerWriter(this.#output);
  readonly #targets = new TargetWriter(this.#output);
  readonly #receivedTimes = new TimeWriter(',"requestReceivedTimestamp":');
  readonly #stageTimes = new TimeWriter(',"stageTimestamp":');

  constructor(known = new KnownParts()) {
    this.#known = known;
  }

  /** Where the fields of the event are that was written last. */
  get noted(): NotedFields {
    return this.#output.noted;
  }

  /**
   * Writes the event of `line` and a newline. A request may come with its `response`; without it the event is
   * annotated as a half.
   */
  write(out: JsonWriter, line: LegacyLine, response?: LegacyLine): void {
    const output = this.#output;
    const { kind, isDeferred } = line;
    output.begin(out);
    output.fragment(BEGINNING);
    output.string(NO_KEY, line, ID, fields.AUDIT_ID);
    if (kind === 'response') {
      output.fragment(STAGE_COMPLETE);
      output.fragment(NO_REQUEST);
    } else {
      this.#writeRequest(out, line);
    }
    const answer = response ?? line;
    if (answer.has(RESPONSE) && !isDeferred) this.#writeStatus(out, answer);
    if (kind !== 'response') this.#time(out, this.#receivedTimes, line.timeUs, fields.RECEIVED_TIME);
    if (response) this.#time(out, this.#stageTimes, response.timeUs, fields.STAGE_TIME);
    else if (kind === 'response' || isDeferred || this.#isReceived(line))
      this.#time(out, this.#stageTimes, line.timeUs, fields.STAGE_TIME);
    if (kind === 'response') output.fragment(RESPONSE_ONLY);
    else if (kind === 'request' && !response) output.fragment(REQUEST_ONLY);
    out.constant(END);
  }

  // Stage, request, caller, object.
  #writeRequest(out: JsonWriter, line: LegacyLine): void {
    const output = this.#output;
    const { callers, targets } = this.#known;
    if (!this.#isStillKnown(line)) line.readAgain();
    const { view, callerStart, targetStart, caller, target } = line;
    let nextOfCaller = caller < 0 ? -1 : callers.valueOf(caller);
    const stageAt = out.length;
    let method;
    if (caller < 0) {
      this.#writeStage(line);
      method = methodIndex(line);
    } else {
      method = methodOfTraits(callers.words[nextOfCaller] as number);
      nextOfCaller = output.fragment(callers.words, nextOfCaller + 1);
    }

    const requestAt = out.length;
    let nextOfTarget = -1;
    if (target < 0) this.#targets.writeRequest(line, methodOf(method, line));
    else nextOfTarget = output.fragment(targets.words, targets.valueOf(target));

    const userAt = out.length;
    if (caller < 0) this.#callers.write(line);
    else output.fragment(callers.words, nextOfCaller);

    const objectAt = out.length;
    if (target < 0) this.#targets.writeObject(line);
    else output.fragment(targets.words, nextOfTarget);

    if (targetStart < 0 || method < 0) return;
    if (target < 0) {
      const salt = targetSalt(method, line.kind === 'complete');
      const words = output.wordsFor(requestAt, userAt) + output.wordsFor(objectAt, out.length);
      const slot = targets.keep(view, targetStart, line.endOf(URI), salt, words);
      if (slot >= 0)
        this.#keep(targets.words, targets.valueOf(slot), requestAt, userAt, objectAt, out.length);
    }
    if (caller < 0) {
      const words = 1 + output.wordsFor(stageAt, requestAt) + output.wordsFor(userAt, objectAt);
      const slot = callers.keep(view, callerStart, targetStart, 0, words);
      if (slot < 0) return;
      const at = callers.valueOf(slot);
      callers.words[at] = callerTraits(method, line.has(STAGE), line.is(STAGE, RECEIVED));
      this.#keep(callers.words, at + 1, stageAt, requestAt, userAt, objectAt);
    }
  }

  /** Whether what was known of the line when it was read has not been replaced since. */
  #isStillKnown({ caller, callerSerial, target, targetSerial }: LegacyLine): boolean {
    const { callers, targets } = this.#known;
    return (
      (caller < 0 || callers.serialOf(caller) === callerSerial) &&
      (target < 0 || targets.serialOf(target) === targetSerial)
    );
  }

  /** Puts two fragments of what was written at `at` into `words`. */
  #keep(words: Int32Array, at: number, start: number, end: number, nextStart: number, nextEnd: number): void {
    this.#output.keep(nextStart, nextEnd, words, this.#output.keep(start, end, words, at));
  }

  #writeStage(line: LegacyLine): void {
    if (line.has(STAGE)) this.#output.string(STAGE_KEY, line, STAGE, fields.STAGE);
    else this.#output.fragment(line.isDeferred ? STAGE_RECEIVED : STAGE_COMPLETE);
  }

  #writeStatus(out: JsonWriter, answer: LegacyLine): void {
    this.#output.fragment(STATUS_KEY);
    const code = out.length;
    // Digits only, so they are JSON as they stand.
    out.constantAndBytes(NO_KEY, answer.view, answer.startOf(RESPONSE), answer.endOf(RESPONSE));
    this.noted.note(fields.CODE, code, out.length);
    out.byte(CLOSE_BRACE);
    this.noted.note(fields.STATUS, code - BEFORE_CODE, out.length);
  }

  #time(out: JsonWriter, times: TimeWriter, us: number, field: number): void {
    times.write(out, us);
    this.noted.note(field, out.length - QUOTED_TIME_BYTES, out.length);
  }

  #isReceived(line: LegacyLine): boolean {
    if (line.caller < 0) return line.is(STAGE, RECEIVED);
    const { callers } = this.#known;
    return isReceived(callers.words[callers.valueOf(line.caller)] as number);
  }
}
