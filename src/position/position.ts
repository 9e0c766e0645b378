// What is remembered of a pipeline between runs: plain JSON, kept by `store.ts`, read by people.
// Offsets are in decompressed bytes, times are ISO 8601 in UTC.

/** The first bytes of a file: `length` of them, at most 1 KiB, and their hash. Grows with what was read. */
export interface Head {
  length: number;
  /** sha256, first 32 hex digits. */
  hash: string;
}

/** A file and how far it was read. */
export interface FilePosition {
  /** Its base name when last seen. */
  name: string;
  dev: number;
  ino: number;
  offset: number;
  head: Head;
  /** Hash of the up to 1 KiB before `offset`. */
  before: Head;
}

/** A backup that was read to its end. */
export interface FinishedBackup {
  /** The name without `.gz`. */
  stem: string;
  ino: number;
  head: Head;
}

/** A backup that was seen and not read to its end. */
export interface UnreadBackup {
  /** The name without `.gz`. */
  stem: string;
  /** As on disk when last seen. */
  bytes: number;
}

/** Input that was gone before it could be read. */
export interface Gap {
  /** When it was noticed. */
  time: string;
  /** Machine-readable kind. */
  reason: 'pruned' | 'truncated' | 'replaced' | 'damaged' | 'released';
  /** The file that the gap begins in, and from where on. */
  file: string;
  offset: number;
  /** How many bytes on disk are missing; absent where that is not known. */
  bytes?: number;
  /** What is known of it, in words. */
  detail: string;
}

/** Everything known of one followed path. */
export interface PathPosition {
  path: string;
  /** The file being read; null while none has been seen. */
  current: FilePosition | null;
  /** Backups up to and including this stem are finished, whether they still exist or not. */
  finishedThrough: string | null;
  /** The newest finished backups, at most 256, whether they still exist or not; see `source/file/finished.ts`. */
  finished: FinishedBackup[];
  /**
   * The oldest unread backups, at most 256: where one is gone at the next start, that is a gap. Absent where none is
   * unread.
   */
  unread?: UnreadBackup[];
  /** The newest gaps, at most 100, and how many there were in all. */
  gaps: Gap[];
  gapCount: number;
}

/** A line that was read and is in no event yet, since the rest of its entry is still to come. */
export interface OpenEntry {
  /** The followed path. */
  path: string;
  /** The file that held it, and where. */
  file: string;
  offset: number;
  /** When it was read, milliseconds since the epoch. */
  readAtMs: number;
  /** The line without newline, one character a byte. */
  bytes: string;
  /** It is the beginning of a line that a container runtime wrote in parts; else a legacy request without response. */
  partial?: {
    /** Where the container wrote it to. */
    stream: 'stdout' | 'stderr';
    /** Lines of the log that hold it so far. */
    lines: number;
    /** How long it is so far: more than `bytes` has where it is too long. */
    length: number;
  };
}

/** How far the quarantine was replayed, while that is not done. */
export interface ReplayPosition {
  /** The files of the quarantine that are replayed, by their base names, in order. */
  files: { name: string; ino: number }[];
  /** The index of the file that is being read, and how far it was read. */
  at: number;
  offset: number;
}

/** The position of a file source. */
export interface SourcePosition {
  paths: PathPosition[];
  /** Lines before the position that no event holds yet, by path in the order of reading; absent where there is none. */
  open?: OpenEntry[];
  /** After a reset: where to begin, instead of what the configuration says. */
  readFrom?: 'beginning' | 'end';
  /** A replay of the quarantine that was broken off. */
  replay?: ReplayPosition;
}

/** An output file that is not finished: one that `sink/files` may cut, rename or delete. */
export interface SegmentRecord {
  id: number;
  /** The sink's name, or `~quarantine`. */
  sink: string;
  /** Absolute, so that a changed configuration does not hide it. */
  path: string;
  /** The name before a rotation that may not have happened on disk yet. */
  from?: string;
  /** The rendered path that it belongs to, relative to `base_dir`. */
  key: string;
  /** What retention counts it under: the rendered path without its time. Absent where that is the rendered path. */
  group?: string;
  /** When its time slice ends; absent where its path holds no time. */
  sliceEndMs?: number;
  /** Its receipt: so many bytes are committed; what is behind them is cut on start. */
  length: number;
  /** 0 until the file was created and committed. */
  ino: number;
  openedAtMs: number;
  /** Nothing is added any more. */
  closed?: boolean;
  /** It is a series of gzip members from its beginning, and its receipt is the end of one. */
  gzip?: true;
}

/** How far a segment is durable as of a marker. */
export interface Receipt {
  id: number;
  length: number;
  ino: number;
  closed: boolean;
  /** The rename that the record announced has happened and is durable. */
  isRenamed: boolean;
}

/** The content of `<pipeline>.position.json`, without its checksum. */
export interface PipelineRecord {
  version: 1;
  pipeline: string;
  /** Raised by one with each save. */
  generation: number;
  savedAt: string;
  /** The last run ended by draining: nothing was written behind the receipts. */
  isClean: boolean;
  source: SourcePosition;
  nextSegmentId: number;
  segments: SegmentRecord[];
}
