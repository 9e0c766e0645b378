// What counts as a change to a file system: the moments at which crash tests let a process or a machine die. Plain
// JavaScript, because it is also preloaded into the real program.
import { constants } from 'node:fs';

/** Operations that always are a change; names are the same in `node:fs` and in `src/file-system.ts`. */
export const CHANGES = Object.freeze([
  'write',
  'fdatasync',
  'fsync',
  'ftruncate',
  'fchmod',
  'mkdir',
  'rename',
  'link',
  'unlink',
]);

/**
 * Whether this call changes the file system; `open` does where it may create.
 * @param {string} name
 * @param {readonly unknown[]} args
 * @returns {boolean}
 */
export function isChange(name, args) {
  if (name === 'open') return typeof args[1] === 'number' && (args[1] & constants.O_CREAT) !== 0;
  return CHANGES.includes(name);
}
