import type { Readable } from 'node:stream';

/**
 * Something kept at a location. Its name is relative to the location:
 * `lifeboat/shop/logical/main/20261121T020000Z.meta.json`.
 */
export interface Kept {
  name: string;
  bytes: number;
  /** Milliseconds since 1970. */
  modifiedAt: number;
}

export interface PutOptions {
  /** Ends the upload; what was sent is taken back. */
  signal?: AbortSignal | undefined;
  /** What is expected, to choose the size of parts; a guess is good enough. */
  bytes?: number | undefined;
}

/**
 * Where backups are kept, whatever it is: one implementation for each kind, over its vendor's own client. Every method
 * throws LocationUnreachable (trying again can help) or LocationRefused (credentials, a missing bucket: it cannot), and
 * NotEnoughSpace.
 */
export interface Location {
  /** Its name in the plan. */
  readonly name: string;
  /**
   * Streams something there. It has its name only when it is there whole: neither an error nor our own death leaves
   * half of it under that name. What has the name already is replaced. Returns the size and the SHA-256 (hex) of what
   * was sent.
   */
  put(name: string, body: Readable, options?: PutOptions): Promise<{ bytes: number; sha256: string }>;
  /** Reads it from there. Throws BackupDamaged when there is nothing of that name. */
  get(name: string, options?: { signal?: AbortSignal | undefined }): Promise<Readable>;
  /** Its size and age, or undefined when there is nothing of that name. */
  find(name: string): Promise<Kept | undefined>;
  /** Everything whose name begins so, sorted by name. */
  list(prefix: string): Promise<Kept[]>;
  /** Removes it; that it is gone already is fine. */
  remove(name: string): Promise<void>;
  /** Takes back what interrupted uploads have left of names that begin so. Returns how many. */
  removeUnfinished(prefix: string): Promise<number>;
  /** Bytes free and in all, where that can be known; a bucket has no end. */
  space(): Promise<{ free: number; total: number } | undefined>;
  close(): Promise<void>;
}
