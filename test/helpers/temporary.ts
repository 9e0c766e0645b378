import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that goes with the test. Unlike `t.testdir()` its path is short enough for the lock's socket. */
export function temporaryDirectory(t: { teardown(run: () => void): unknown }): string {
  const directory = mkdtempSync(join(tmpdir(), 'hg-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}
