// The names of rotated files. kube-apiserver rotates with lumberjack: `audit.log` becomes
// `audit-2006-01-02T15-04-05.000.log` (UTC), later `….log.gz`; a name without extension gets the time at its end
// (gopkg.in/natefinch/lumberjack.v2 lumberjack.go, `backupName` and `prefixAndExt`). The kubelet rotates the log of a
// container, `0.log`, to `0.log.20060102-150405` (its local time), later `….gz` (pkg/kubelet/logs/
// container_log_manager.go). Pure.

const SUFFIX = '.gz';
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}$/;
const KUBELET_TIME = /^\.\d{8}-\d{6}$/;
const BACKUP = /(?:-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}(?:\.[^.]*)?|\.\d{8}-\d{6})(?:\.gz)?$/;

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
  if (stem.startsWith(liveName) && KUBELET_TIME.test(stem.slice(liveName.length)))
    return { name, stem, isGzip };
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

/**
 * Whether the writer may still be writing to a backup with this stem: the kubelet renames the log of a container first and
 * then tells the runtime, which opens the new one before it lets go of the old.
 */
export function isWrittenAfterRename(stem: string): boolean {
  return KUBELET_TIME.test(stem.slice(-'.20060102-150405'.length));
}
