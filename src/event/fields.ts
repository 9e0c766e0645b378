// Which fields of an event a pipeline looks at. Conditions and templates ask for a slot while the pipeline is
// built; the scanner then takes exactly these fields out of each line, and nothing else is ever looked for.
import type { FieldPath } from './field-path.js';

/**
 * The computed field `tag`, `time` and `latency_ms` need no slot of their own name: they ask for the raw fields that
 * they are made of.
 */
export class FieldRegistry {
  readonly #paths: FieldPath[] = [];
  readonly #slots = new Map<string, number>();
  readonly #users: Set<string>[] = [];
  /** Who asks from now on: a component's place in the configuration. For people only. */
  user = '';

  /** The slot of a field; the same path always gets the same slot. */
  slot(path: FieldPath): number {
    const key = JSON.stringify(path);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#paths.length;
      this.#paths.push(path);
      this.#slots.set(key, slot);
      this.#users.push(new Set());
    }
    this.#users[slot]?.add(this.user);
    return slot;
  }

  /** The wanted paths, in order of their slots. */
  get paths(): readonly FieldPath[] {
    return this.#paths;
  }

  /** Who asked for a field, by its slot. */
  usersOf(slot: number): readonly string[] {
    return [...(this.#users[slot] ?? [])];
  }
}
