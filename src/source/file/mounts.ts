// Whether a file is mounted by itself, as containers get single files: then a rotation on the other side of the mount
// can't be seen at its path, which goes on leading to the file that was mounted.
import { constants } from 'node:fs';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { withFile } from '../../position/durable-file.js';

const MOUNTS = '/proc/self/mountinfo';
const READ_BYTES = 64 * 1024;

/** False also where the system doesn't tell. */
export async function isMountPoint(fs: FileSystem, path: string): Promise<boolean> {
  let text: string;
  try {
    text = await withFile(fs, MOUNTS, constants.O_RDONLY, async (fd) => {
      const parts: Buffer[] = [];
      for (let offset = 0; ;) {
        const buffer = Buffer.alloc(READ_BYTES);
        const bytes = await fs.read(fd, buffer, 0, buffer.length, offset);
        if (bytes === 0) return Buffer.concat(parts).toString('latin1');
        parts.push(buffer.subarray(0, bytes));
        offset += bytes;
      }
    });
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
  const wanted = Buffer.from(path).toString('latin1');
  return text.split('\n').some((line) => unescape(line.split(' ')[4] ?? '') === wanted);
}

// proc_pid_mountinfo(5): space, tab, newline and backslash are written in octal.
function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
