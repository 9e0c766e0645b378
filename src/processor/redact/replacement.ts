// What stands in the place of a redacted value: nothing, or a keyed hash, by which equal values can be told without
// being known. Without the key nobody can try out which value a hash belongs to.
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { HaltError, systemCode } from '../../errors.js';
import { toBuffer } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';
import type { JsonEdits } from '../../event/json-edit.js';
import { stringAt } from '../../event/json-members.js';
import type { Member } from '../../event/json-members.js';
import type { JsonReader } from '../../event/json-reader.js';

const MIN_KEY_BYTES = 32;

/** Makes values unreadable. */
export interface Replacement {
  /** Reads what it needs. Throws `HaltError` where it can't. */
  open(): Promise<void>;
  /** Redacts a member of an object. */
  member(reader: JsonReader, member: Member, edits: JsonEdits): void;
  /** What stands in a text in the place of a part of it. */
  text(value: ByteString): ByteString;
}

/** Takes values out. */
export const removal: Replacement = {
  open: () => Promise.resolve(),
  member(_reader, { keyStart, valueEnd }, edits) {
    edits.cutMember(keyStart, valueEnd);
  },
  text: () => '',
};

/** Puts `hmac-sha256:` and the HMAC (RFC 2104, hex) in their place: of a text's bytes, or of other values as JSON. */
export class KeyedHash implements Replacement {
  readonly #keyFile: string;
  readonly #component: string;
  #key: Buffer | undefined;

  constructor(keyFile: string, component: string) {
    this.#keyFile = keyFile;
    this.#component = component;
  }

  async open(): Promise<void> {
    const data = { path: this.#keyFile, component: this.#component };
    const key = await readFile(this.#keyFile).catch((error: unknown) => {
      const message = `the key for hashes can't be read (${systemCode(error) ?? 'unknown'}): ${this.#keyFile}`;
      throw new HaltError('KEY_UNUSABLE', message, { ...data, cause: error });
    });
    if (key.length < MIN_KEY_BYTES) {
      const message = `the key for hashes must have at least ${String(MIN_KEY_BYTES)} bytes: ${this.#keyFile}; make one with \`head -c 32 /dev/urandom\``;
      throw new HaltError('KEY_UNUSABLE', message, data);
    }
    this.#key = key;
  }

  member(reader: JsonReader, { valueStart, valueEnd }: Member, edits: JsonEdits): void {
    const text = stringAt(reader, valueStart) ?? reader.data.toString('latin1', valueStart, valueEnd);
    edits.replace(valueStart, valueEnd, toBuffer(`"${this.text(text)}"`));
  }

  text(value: ByteString): ByteString {
    if (!this.#key) throw new Error('impossible: a hash before the key was read');
    return `hmac-sha256:${createHmac('sha256', this.#key).update(toBuffer(value)).digest('hex')}`;
  }
}
