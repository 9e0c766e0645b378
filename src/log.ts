// Own logs: pino JSON lines on stderr with a stable `code`, readable lines on a terminal. Written
// synchronously, so that the last words before an exit are never lost. stdout belongs to data.
import { createRequire } from 'node:module';
import { pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

export interface LogOptions {
  /** Readable lines instead of JSON; the default is whether stderr is a terminal. */
  pretty?: boolean;
  level?: string;
}

/** The process's logger. */
export function createLogger(options: LogOptions = {}): Logger {
  const isPretty = options.pretty ?? process.stderr.isTTY;
  const settings = {
    level: options.level ?? process.env['HEADGATE_LOG_LEVEL'] ?? 'info',
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(settings, isPretty ? prettyDestination() : pino.destination({ dest: 2, sync: true }));
}

// pino-pretty and its dependencies cost 40 ms to load, so a daemon under systemd never does.
function prettyDestination(): DestinationStream {
  const require = createRequire(import.meta.url);
  const pretty = require('pino-pretty') as (options: object) => DestinationStream;
  return pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' });
}

/** A logger that says nothing, for tests and for commands that only read. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
