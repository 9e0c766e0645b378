// The rights of the shipped service, for a process that root starts.
import { execFileSync } from 'node:child_process';

/** The user that it runs as. */
export const NOBODY = 65_534;
/** A command that runs another one as `User=` and `AmbientCapabilities=` of headgate.service. */
export const AS_SERVICE = [
  ...['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'],
  ...['--inh-caps', '-all,+dac_read_search', '--ambient-caps', '-all,+dac_read_search'],
  ...['--bounding-set', '-all,+dac_read_search', '--no-new-privs'],
];

/** Why that can't be done here, in one line. */
export function whyNotAsService(): string | false {
  if (process.getuid?.() !== 0) return 'only root may become another user';
  try {
    execFileSync(AS_SERVICE[0] ?? '', [...AS_SERVICE.slice(1), 'true'], { stdio: 'pipe' });
    return false;
  } catch {
    return 'setpriv is not installed, or not allowed to do its work';
  }
}
