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

/** Input that was gone before it could be read. */
export interface Gap {
  /** When it was noticed. */
  time: string;
  /** Machine-readable kind. */
  reason: 'pruned' | 'truncated' | 'replaced' | 'damaged' | 'released';
  /** The file that the gap begins in, and from where on. */
  file: string;
  offset: number;
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
  /** Finished backups that still exist. */
  finished: FinishedBackup[];
  /** The newest gaps, at most 100, and how many there were in all. */
  gaps: Gap[];
  gapCount: number;
}

/** The position of a file source. */
export interface SourcePosition {
  paths: PathPosition[];
}

/** An output file that is not finished: what `sink/files` may cut, rename or delete. */
export interface SegmentRecord {
  id: number;
  /** The sink's name, or `quarantine`. */
  sink: string;
  /** Relative to the sink's `base_dir`. */
  path: string;
  /** The name before a rotation that may not have happened on disk yet. */
  from?: string;
  /** The rendered path that it belongs to, where that differs from `path`. */
  key?: string;
  /** Its receipt: so many bytes are committed; what is behind them is cut on start. */
  length: number;
  /** 0 until the file was created and committed. */
  ino: number;
  openedAtMs: number;
  /** Nothing is added any more. */
  closed?: boolean;
}

/** The content of `<pipeline>.position.json`, without its checksum. */
export interface PipelineRecord {
  version: 1;
  pipeline: string;
  /** Raised by one with each save. */
  generation: number;
  savedAt: string;
  source: SourcePosition;
  nextSegmentId: number;
  segments: SegmentRecord[];
}
