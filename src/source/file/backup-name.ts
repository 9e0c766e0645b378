// The names of rotated files. kube-apiserver rotates with lumberjack: `audit.log` becomes
// `audit-2006-01-02T15-04-05.000.log` (UTC), later `….log.gz`; a name without extension gets the time at its end
// (gopkg.in/natefinch/lumberjack.v2 lumberjack.go, `backupName` and `prefixAndExt`). Pure.

const SUFFIX = '.gz';
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}$/;
const BACKUP = /-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}(?:\.[^.]*)?(?:\.gz)?$/;

/** A backup by its name. */
export interface BackupName {
  name: string;
  /** The name without `.gz`. Stems of one path sort by time. */
  stem: string;
  isGzip: boolean;
}

/** Reads `name` as a backup of the file called `liveName`; undefined where it is none. */
export function parseBackupName(liveName: string, name: string): BackupName | undefined {
  const isGzip = name.endsWith(SUFFIX);
  const stem = isGzip ? name.slice(0, -SUFFIX.length) : name;
  const { prefix, extension } = partsOf(liveName);
  if (!stem.startsWith(prefix) || !stem.endsWith(extension)) return undefined;
  const time = stem.slice(prefix.length, stem.length - extension.length);
  return TIME.test(time) ? { name, stem, isGzip } : undefined;
}

/** Whether this is the name of a backup of any file. */
export function isBackupName(name: string): boolean {
  return BACKUP.test(name);
}

/** The name that a rotation of the file called `liveName` gives to it at `timeMs`. */
export function backupStem(liveName: string, timeMs: number): string {
  const { prefix, extension } = partsOf(liveName);
  return prefix + new Date(timeMs).toISOString().slice(0, -1).replaceAll(':', '-') + extension;
}

function partsOf(liveName: string): { prefix: string; extension: string } {
  const dot = liveName.lastIndexOf('.');
  const extension = dot < 0 ? '' : liveName.slice(dot);
  return { prefix: `${liveName.slice(0, liveName.length - extension.length)}-`, extension };
}
