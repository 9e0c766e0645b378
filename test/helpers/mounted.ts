// Small file systems of a test's own, where the machine lets it mount; and a user who is not root.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { CLI } from './headgate.js';
import type { User } from './headgate.js';

/** A tmpfs of this size at `path` until the test ends. False where that is not allowed. */
export function mountTmpfs(t: { teardown(run: () => void): unknown }, path: string, size: string): boolean {
  mkdirSync(path, { recursive: true });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]).status !== 0) return false;
  t.teardown(() => spawnSync('umount', ['-l', path]));
  return true;
}

/** Makes a mounted file system read-only or writable; false while files are open for writing. */
export function remount(path: string, how: 'ro' | 'rw'): boolean {
  return spawnSync('mount', ['-o', `remount,${how}`, path]).status === 0;
}

/**
 * Who to run as so that permissions count: this user, unless that is root; then `nobody`. Undefined where nobody may not
 * run the program.
 */
export function unprivileged(): User | undefined {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (uid !== 0) return { uid, gid };
  const nobody = { uid: 65534, gid: 65534 };
  return spawnSync(process.execPath, [CLI, '--version'], { ...nobody, env: {} }).status === 0
    ? nobody
    : undefined;
}
