import type { PhysicalType } from '../../vocabulary/backup.js';
import type { Target } from '../../vocabulary/target.js';
import type { Cluster } from '../postgres/cluster.js';

/**
 * The program that takes and restores the physical backups of a database: one folder entry for each, one line in
 * engines.ts.
 */
export interface Engine {
  readonly name: 'pgbackrest' | 'wal-g';
  /** What is recorded with each backup: program and version. Throws ToolMissing. */
  tools(cluster: Cluster): Promise<Record<string, string>>;
  compression(cluster: Cluster): 'zstd' | 'gzip' | 'none';
  encryption(cluster: Cluster, location: string): 'pgbackrest' | 'wal-g' | 'none';
  /**
   * Makes these locations ready to take backups and WAL. Returns, for each that cannot be used, why. A location that
   * once held this database's backups and does not any more (a disk that is not mounted, another bucket) is never
   * filled anew.
   */
  prepare(cluster: Cluster, locations: string[]): Promise<Record<string, string>>;
  /**
   * Writes the configuration that the commands below read. They hold no secret, and PostgreSQL runs them as long as it
   * lives.
   */
  writeConfig(cluster: Cluster): Promise<void>;
  archiveCommand(cluster: Cluster): string;
  restoreCommand(cluster: Cluster): string;
  /** True for a command of ours that was set from another place of the configuration. */
  isOurs(cluster: Cluster, archiveCommand: string): boolean;
  /**
   * Lists every backup at these locations, in no order. A location that cannot be read is named, and the others still
   * listed.
   */
  info(cluster: Cluster, locations: string[]): Promise<RepositoryInfo>;
  /** Takes one at one location. Throws CommandFailed, LocationUnreachable. */
  take(cluster: Cluster, request: EngineTake): Promise<void>;
  /**
   * Reads back what one location has of a backup: its manifest at least. Returns true when every byte was. Throws when
   * it is not sound.
   */
  readBack(cluster: Cluster, location: string, label: string): Promise<boolean>;
  /** Reads everything that a location has of this database and compares it with its checksums. */
  verify(cluster: Cluster, location: string): Promise<EngineVerification>;
  /**
   * Restores the files of a backup into an empty directory (or, resumed, one that it began to restore to), ready to
   * recover to the target.
   */
  restore(cluster: Cluster, request: EngineRestore): Promise<void>;
  /** True when what `restore` threw says that the backup is damaged, and not the disk or the network. */
  isDamage(error: { code?: number | undefined; message: string }): boolean;
  /**
   * Names of archived segments (24 hex digits) and timelines with a history file, at one location; and how many bytes
   * they take there.
   */
  archived(cluster: Cluster, location: string): Promise<{ segments: string[]; histories: number[]; bytes: number }>;
  /** Fetches a file of the archive from whichever location has it. Returns whether it could be had. */
  fetch(cluster: Cluster, name: string, path: string, from?: FetchFrom): Promise<boolean>;
  /** Removes these backups from a location, dependents first; what is gone already is fine. */
  remove(cluster: Cluster, location: string, labels: string[]): Promise<void>;
  /**
   * Removes WAL that no backup at the location needs, and keeps all since the oldest of the newest `full` full ones.
   */
  expireWal(cluster: Cluster, location: string): Promise<void>;
  /**
   * Switches to a new WAL segment and waits until it is archived at every location that answers. Returns those that do
   * not, with why.
   */
  check(cluster: Cluster): Promise<Record<string, string>>;
}

export interface FetchFrom {
  /** This location alone. */
  location?: string;
  /** The data directory that says which cluster it is; the database's own may be too damaged for that. */
  directory?: string;
}

export interface EngineTake {
  type: PhysicalType;
  run: string;
  location: string;
  rows: Record<string, number | null> | undefined;
  /** Locations that do not answer: nothing waits for them. */
  away: string[];
}

export interface EngineRestore {
  label: string;
  location: string;
  /** The timeline that recovery must follow. */
  timeline: number;
  target: Target;
  directory: string;
  /** It was begun before, into this directory. */
  resumed: boolean;
  incident: string;
  /** Percent, where the engine says it. */
  onPercent: (percent: number) => void;
}

export interface EngineVerification {
  /** Labels of backups that were read whole. */
  sound: string[];
  /** `label`: empty for WAL, which belongs to no single backup. `file`: as the location names it. */
  damaged: { label: string; file: string; why: string }[];
}

/** One backup, as the engine lists it. Times in seconds since 1970, sizes in bytes. */
export interface BackupSet {
  label: string;
  type: 'full' | 'diff' | 'incr';
  location: string;
  startedAt: number;
  stoppedAt: number;
  databaseBytes: number;
  /** With what it takes over from earlier ones. */
  repositoryBytes: number;
  /** What it added itself to the location. */
  ownBytes: number;
  walStart: string;
  walStop: string;
  lsnStop: string;
  /** The engine found page checksum errors while it took this backup. */
  pageErrors: boolean;
  /** The one that it was taken after, and needs. */
  prior?: string;
  annotations: Record<string, string>;
}

export interface RepositoryInfo {
  backups: BackupSet[];
  systemIdentifier: string | undefined;
  /** Locations that could not be read, with why. */
  unreadable: Record<string, string>;
}
