/** What is backed up, and how: a database by its files or as a dump, files, a Redis server, Git repositories. */
export const backupKinds = ['physical', 'logical', 'files', 'redis', 'code'] as const;
export type BackupKind = (typeof backupKinds)[number];
export const physicalTypes = ['full', 'differential', 'incremental'] as const;
export type PhysicalType = (typeof physicalTypes)[number];
export type BackupType = PhysicalType | Exclude<BackupKind, 'physical'>;

export const isPhysical = (type: BackupType): type is PhysicalType =>
  (physicalTypes as readonly string[]).includes(type);
export const kindOf = (type: BackupType): BackupKind => (isPhysical(type) ? 'physical' : type);

/** One backup at one location: its `.meta.json`, as it lies beside it. Sizes in bytes, times as ISO 8601. */
export interface BackupRecord {
  id: string;
  system: string;
  kind: BackupKind;
  /** The name of the database, files, Redis server or code in the plan. */
  component: string;
  type: BackupType | 'unknown';
  /** When it began: what it holds is at least as new. For physical ones, when it ended. */
  timestamp: string;
  /** The name in PostgreSQL; of other kinds, the component. */
  database: string;
  location: string;
  /** What it takes there. */
  size: number;
  /** Of what was backed up, when it is known. */
  dataBytes?: number;
  compression: 'zstd' | 'gzip' | 'none';
  encryption: 'age' | 'pgbackrest' | 'restic' | 'wal-g' | 'none';
  /** Names relative to the location. Empty where the engine keeps digests of its own (pgBackRest, restic). */
  files: { name: string; bytes: number; sha256: string }[];
  /** restic's ID of it. */
  snapshot?: string;
  tools: Record<string, string>;
  /** How long it took. */
  seconds: number;
  /** Of these, how long to verify it. */
  verifySeconds?: number;
  wal?: { start: string; stop: string };
  /** The backup that this one needs. */
  basedOn?: string;
  /** The run that took it. */
  run: string;
  /** Rows of the tables that the plan counts, under the dump's own snapshot. */
  rows?: Record<string, number | null>;
  /** Of code: the SHA-256 of each repository's list of branches and tags. */
  refs?: Record<string, string>;
  /** Of a dump: what the database is made anew with. */
  made?: DatabaseMade;
  /** Every byte was read back and its digest compared; of a dump, its schema was loaded where that was possible. */
  verified?: { at: string };
  /** Of a dump: its schema was loaded into a scratch server, and what of it failed; or why it was not loaded. */
  schema?: { at: string; failed?: string[]; not?: string };
  /** It was restored for real, and its data verified. */
  restored?: { at: string; seconds: number; host: string };
  damaged?: { at: string; why: string };
}

/**
 * What a dump does not say of its database without naming it: how it was created, and what was set and granted on it.
 */
export interface DatabaseMade {
  /** Bytes of the dump itself, neither compressed nor encrypted. */
  dumpBytes: number;
  /** The share of the largest table in the bytes of all, 0 to 1; absent where it could not be told. */
  largest?: number;
  owner: string;
  encoding: string;
  collate: string;
  ctype: string;
  /** ICU's locale, where ICU compares its texts. */
  icuLocale?: string;
  /** Of its own, where it is not the server's. */
  tablespace?: string;
  /** How many sessions it may have at a time; absent where there is no limit. */
  connectionLimit?: number;
  /** `name=value` of ALTER DATABASE ... SET; with a role, of ALTER ROLE ... IN DATABASE ... SET. */
  settings: { role?: string; setting: string }[];
  /** Absent where nobody changed what PostgreSQL grants by itself. An empty grantee is everybody. */
  grants?: { grantee: string; privilege: string; grantable: boolean }[];
}

export interface BackupListing {
  backups: BackupRecord[];
  /** Locations that could not be read, with why. */
  unreadable: Record<string, string>;
  /** There are more, after this one. */
  next?: string;
}
