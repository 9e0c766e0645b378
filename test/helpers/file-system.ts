// A file system whose operations can be made to fail, for tests of faults.
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';

/** Called before each operation; may throw, and then the operation does not happen. */
export type Gate = (operation: keyof FileSystem, path: unknown) => void;

export function systemError(code: string, path = ''): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: made by a test, '${path}'`), { code });
}

/** A file system with every operation wrapped: `around` calls `run`, with these or other arguments, or does not. */
export function wrapFileSystem(
  around: (
    name: keyof FileSystem,
    args: unknown[],
    run: (args: unknown[]) => Promise<unknown>,
  ) => Promise<unknown>,
  inner: FileSystem = nodeFileSystem,
): FileSystem {
  return new Proxy(inner, {
    get(target, name: keyof FileSystem) {
      const operation = target[name] as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]) => around(name, args, (changed) => operation(...changed));
    },
  });
}

/** The real file system behind a gate. */
export function gatedFileSystem(gate: Gate): FileSystem {
  return wrapFileSystem(async (name, args, run) => {
    gate(name, args[0]);
    return run(args);
  });
}
