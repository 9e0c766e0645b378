// When the process has no file descriptor left (EMFILE, ENFILE), whoever keeps files open only to be faster closes some,
// so that what needs a descriptor now finds one when it tries again. Process-wide, as the limit is.
import { systemCode } from './errors.js';

/** Closes some of what it holds; must not reject. */
export type Relief = () => Promise<void>;

const reliefs = new Set<Relief>();

/** Registers a holder of descriptors; returns how to take it out again. */
export function registerRelief(relief: Relief): () => void {
  reliefs.add(relief);
  return () => reliefs.delete(relief);
}

/** Makes room where `error` says that there were too many open files; resolves when it is made. */
export async function relieveDescriptors(error: unknown): Promise<void> {
  const code = systemCode(error);
  if (code !== 'EMFILE' && code !== 'ENFILE') return;
  await Promise.all([...reliefs].map((relief) => relief()));
}
