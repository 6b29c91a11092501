import type { BackupKind, BackupRecord, BackupType } from './backup.js';

/** What is asked of the work on backups, and what it answers: taking, verifying, restoring, testing, cleaning up. */

export interface TakeRequest {
  component: string;
  type: BackupType;
  /** The run that asks for it: a backup which this run already took is not taken again. */
  run: string;
  /** The incident that holds the database, when it is the one that asks. */
  incident?: string;
}
export interface BackupResult {
  id: string;
  type: BackupType;
  component: string;
  locations: string[];
  bytes: number;
  seconds: number;
  /** Of these, how long to verify it, where that is apart from taking it. */
  verifySeconds?: number;
  /** One line for people. */
  summary: string;
  /** Locations that did not take it, with why: `us-east: ...`; and that it cannot all be restored. */
  failed: string[];
  /** Of a dump: objects in it that no restore can bring, each in a line. */
  unrestorable?: string[];
}

export interface VerifyRequest {
  component: string;
  /** Absent: all of them. */
  id?: string;
  location?: string;
}
export interface VerifyResult {
  summary: string;
  /** How many backups were read whole and found sound. */
  sound: number;
  /** `where`: the backup and the file. */
  damaged: { id: string; location: string; file: string; why: string }[];
  /** Locations that could not be read, with why. */
  failed: string[];
}

export interface TestRestoreRequest {
  component: string;
  id: string;
  location: string;
  /** Names the scratch copy: an attempt after a crash finds it again. */
  run: string;
}
export interface TestRestoreResult {
  summary: string;
  id: string;
  location: string;
  bytes: number;
  seconds: number;
  /** The plan's rows and queries that are not as they should be. */
  doubts: string[];
}

export interface RestoreRequest {
  component: string;
  /** A backup, or a file on the host: a dump that pg_dump wrote. */
  id?: string;
  file?: string;
  /** Absent: the first location in the plan's order at which it is sound. */
  location?: string;
  /** The new database (or directory, for files). Absent: it takes the place of the old, which is renamed aside. */
  into?: string;
  dropExisting?: boolean;
  /** Of a dump: left out, by number or as `schema.name`, with whatever needs it. */
  without?: string[];
  /** Of a dump: what cannot be restored is left out, and told. */
  skipFailed?: boolean;
  run: string;
}
export interface RestoreResult {
  summary: string;
  /** Where it is now. */
  into: string;
  /** What the old one is called now. */
  aside?: string;
  seconds: number;
  /** What the dump holds and was not restored, with why: it is not whole. */
  leftOut?: string[];
}

export interface CleanUpResult {
  summary: string;
  /** What was removed, or would be. */
  removed: { id: string; location: string; type: BackupRecord['type']; timestamp: string; size: number; why: string }[];
  /** How many are kept, by location. */
  kept: Record<string, number>;
  /** Locations at which nothing was removed, with why. */
  failed: string[];
}

/** What was restored for real to prove that it can be. */
export interface TestedResult {
  summary: string;
  tests: TestRestoreResult[];
  /** Backups that could not be restored, with why. */
  failed: string[];
}

export interface BackupInput {
  system: string;
  component: string;
  type: BackupType;
}
export interface ComponentInput {
  system: string;
  kind: BackupKind;
  component: string;
}
/** `after`: the page that comes after this one. */
export type ListInput = ComponentInput & { after?: string };
export type VerifyInput = ComponentInput & Pick<VerifyRequest, 'id' | 'location'>;
export type RestoreInput = ComponentInput & Omit<RestoreRequest, 'run' | 'component'>;
export type CleanUpInput = ComponentInput & { dryRun?: boolean };
/** Of a database: its newest backups of each kind. */
export interface TestInput {
  system: string;
  component: string;
}

/** Work on backups, as its schedule starts it. */
export type ScheduledWork =
  | { workflow: 'backup'; input: BackupInput }
  | { workflow: 'backupVerification'; input: TestInput }
  | { workflow: 'restoreTest'; input: TestInput };
