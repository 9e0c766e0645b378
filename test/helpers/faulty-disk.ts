// A disk whose operations of one kind fail at some places with one error after the other, and then work again. A
// failed sync loses what was written since the last good one, as the page cache does (see `notDurable`); a failed
// write has written half; a failed close has closed.
import { constants, fstatSync, writeSync } from 'node:fs';
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';
import { systemError, wrapFileSystem } from './file-system.js';

export type Operation = keyof FileSystem | 'short write';

export interface FaultPlan {
  operation: Operation;
  /** Where it fails, each place for itself. */
  places: readonly string[];
  /** The place of a path. */
  placeOf: (path: string) => string | undefined;
  codes: readonly string[];
  /** How often in a row each error comes, and how many operations work before the next error. */
  inARow: number;
  between: (place: string) => number;
}

export class FaultyDisk {
  readonly fs: FileSystem;
  /** The errors that were made, `EIO at the position`. */
  readonly #made = new Set<string>();
  readonly #plan: FaultPlan | undefined;
  readonly #seen: (operation: keyof FileSystem, path: string) => void;
  readonly #paths = new Map<number, string>();
  /** Written and not synced, by inode. */
  readonly #unsynced = new Map<number, { at: number; length: number }[]>();
  /** Operations that the plan concerns, by place. */
  readonly #counts = new Map<string, number>();

  /** `seen` is told every operation before it happens. */
  constructor(
    plan: FaultPlan | undefined,
    seen: (operation: keyof FileSystem, path: string) => void = () => undefined,
  ) {
    this.#plan = plan;
    this.#seen = seen;
    this.fs = wrapFileSystem((name, args, run) => this.#around(name, args, run));
  }

  /** The errors of the plan that did not come yet. */
  missing(): string[] {
    const { places = [], codes = [] } = this.#plan ?? {};
    return places
      .flatMap((place) => codes.map((code) => `${code} at ${place}`))
      .filter((error) => !this.#made.has(error));
  }

  async #around(
    name: keyof FileSystem,
    args: unknown[],
    run: (args: unknown[]) => Promise<unknown>,
  ): Promise<unknown> {
    const path = typeof args[0] === 'string' ? args[0] : (this.#paths.get(args[0] as number) ?? '');
    this.#seen(name, path);
    const code = this.#fault(name, path);
    if (code !== undefined) await this.#beforeFault(name, args, run);
    if (code === 'short')
      return run([args[0], args[1], args[2], Math.ceil((args[3] as number) / 2), args[4]]);
    if (code !== undefined) throw systemError(code, path);
    const result = await run(args);
    this.#remember(name, args, result);
    return result;
  }

  #fault(name: keyof FileSystem, path: string): string | undefined {
    const plan = this.#plan;
    if (!plan || (plan.operation === 'short write' ? 'write' : plan.operation) !== name) return undefined;
    const place = plan.placeOf(path);
    if (place === undefined || !plan.places.includes(place)) return undefined;
    const { codes, inARow } = plan;
    const between = plan.between(place);
    const at = this.#counts.get(place) ?? 0;
    this.#counts.set(place, at + 1);
    const code = codes[Math.floor(at / (inARow + between))];
    if (code === undefined || at % (inARow + between) < between) return undefined;
    this.#made.add(`${code} at ${place}`);
    return code;
  }

  async #beforeFault(
    name: keyof FileSystem,
    args: unknown[],
    run: (args: unknown[]) => Promise<unknown>,
  ): Promise<void> {
    const fd = args[0] as number;
    if (name === 'close') {
      this.#paths.delete(fd);
      await run(args);
    } else if (name === 'write' && this.#plan?.operation === 'write') {
      const written = await run([fd, args[1], args[2], Math.floor((args[3] as number) / 2), args[4]]);
      this.#remember(name, args, written);
    } else if (name === 'fdatasync') {
      const { ino, size } = fstatSync(fd);
      for (const { at, length } of this.#unsynced.get(ino) ?? []) {
        const lost = Math.min(length, size - at);
        if (lost > 0) writeSync(fd, Buffer.alloc(lost), 0, lost, at);
      }
      this.#unsynced.delete(ino);
    }
  }

  #remember(name: keyof FileSystem, args: unknown[], result: unknown): void {
    if (name === 'open') {
      const fd = result as number;
      this.#paths.set(fd, args[0] as string);
      const flags = args[1] as number;
      if ((flags & (constants.O_EXCL | constants.O_TRUNC)) !== 0) this.#unsynced.delete(fstatSync(fd).ino);
    } else if (name === 'close') {
      this.#paths.delete(args[0] as number);
    } else if (name === 'write' || name === 'fdatasync') {
      const { ino } = fstatSync(args[0] as number);
      if (name === 'fdatasync') this.#unsynced.delete(ino);
      else {
        const ranges = this.#unsynced.get(ino) ?? [];
        ranges.push({ at: args[4] as number, length: result as number });
        this.#unsynced.set(ino, ranges);
      }
    }
  }
}

/** Every operation there is. */
export const operations = Object.keys(nodeFileSystem) as (keyof FileSystem)[];
