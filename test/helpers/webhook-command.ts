// Runs `headgate webhook …` in this process, as the program would: its output, and the exit code that it ends with.
import { Writable } from 'node:stream';
import { webhookCommand } from '../../src/command/webhook/index.js';
import { HeadgateError, UsageError } from '../../src/errors.js';

/** Runs to the end; a refusal is told on `stderr`. */
export async function webhook(
  ...args: string[]
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const told = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof told) =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        told[name] += chunk.toString();
        done();
      },
    });
  try {
    // No terminal, as for a process that is not at one.
    const io = { stdout: stream('stdout'), stderr: stream('stderr') as NodeJS.WriteStream };
    return { exitCode: await webhookCommand(args, io), ...told };
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    told.stderr += `headgate: ${error.code}: ${error.message}\n`;
    return { exitCode: error instanceof UsageError ? 2 : 1, ...told };
  }
}
