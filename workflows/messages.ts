import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { BackupKind, BackupType } from '../plan/kinds.js';
import type { ScenarioName } from '../plan/schema.js';
import type { PlanFacts } from '../activities/read-plan.js';
import type { Choice, IncidentState, Mode, Problem } from './state.js';

/** How the client talks with an incident. Every update has a synchronous validator: what it refuses leaves no trace in history. */

export interface IncidentInput {
  system: string;
  scenario: ScenarioName;
  database: string;
  declaredBy: string;
  mode: Mode;
  /** As parseTarget reads it; absent: latest, if a restore is needed at all. */
  target?: string;
  /** Rewrite tables too when a repair suffices. */
  vacuumFull?: boolean;
  planDigest: string;
  /** Made up by whoever declares, to see whether the incident that answers is the one they declared. */
  request?: string;
  /** Of an incident that goes on here and began elsewhere. */
  carried?: Carried;
}

/**
 * An incident is open under the lock of its system, waits for its tasks beside it, and takes the lock again to be rolled back: three runs, which
 * hand over what they know.
 */
export interface Carried {
  state: IncidentState;
  plan: PlanFacts;
  /** How many questions were asked: the next one is no earlier one again. */
  asked: number;
  /** This run is to roll back; absent: it waits until it is closed. */
  rollBack?: { by: string; reason: string };
}

export interface Approval {
  by: string;
  /** The question that is answered: an answer without it is refused, but for an abort and a roll-back, which hold whatever is asked. */
  question?: number;
  comment?: string;
}

export interface Decision extends Approval {
  choice: Choice['name'];
  reason?: string;
  target?: string;
}

export interface Abort {
  by: string;
  reason: string;
  /** Open the database and start the services as they stand; otherwise writes stay stopped. */
  resume: boolean;
}

export interface Declared {
  answer: 'accepted' | 'refused' | 'waiting';
  id: string;
  /** Of the input of this incident. */
  request?: string;
  /** What the incident that answers was declared with: somebody who asks for something else is not told that they have it. */
  of: Pick<IncidentInput, 'scenario' | 'database' | 'mode' | 'vacuumFull'> & { target: string };
  problem?: Problem;
}

export interface Note {
  by: string;
  text: string;
  /** A post-recovery task that is done with this. */
  task?: string;
}

export interface Close {
  by: string;
  /** Why, when tasks are still open. */
  leaveTasksOpen?: string;
}

export const stateQuery = defineQuery<IncidentState>('state');
/** Returns when the request was checked: nothing has been changed before that. */
export const declaredUpdate = defineUpdate<Declared>('declared');
export const approveUpdate = defineUpdate<string, [Approval]>('approve');
export const decideUpdate = defineUpdate<string, [Decision]>('decide');
export const noteUpdate = defineUpdate<string, [Note]>('note');
export const abortUpdate = defineUpdate<string, [Abort]>('abort');
export const closeUpdate = defineUpdate<string, [Close]>('close');

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

/** What a dump does not say of its database without naming it: how it was created, and what was set and granted on it. */
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
}

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

export interface DoctorInput {
  system: string;
  database: string;
  planDigest: string;
}
export interface Check {
  what: string;
  host?: string;
  result: 'pass' | 'warn' | 'fail';
  says: string;
  hint?: string;
}
export interface DoctorResult {
  checks: Check[];
  /** Bytes of each database on its primary. */
  bytes: Record<string, number>;
}

/** critical: somebody is woken (PagerDuty); warning: it can wait for the morning. */
export type Severity = 'critical' | 'warning';

/** Something that is wrong now. Its key is what it is known by: raised again under the same key it is the same alert. */
export interface Alert {
  /** `backup/logical/main`, `late/physical/main/full`, `space/onsite`. */
  key: string;
  severity: Severity;
  /** One line. */
  title: string;
  /** What it means, and what to type next. */
  text: string;
}

/** What one channel is told of an alert. */
export interface Notice extends Alert {
  state: 'raised' | 'resolved';
  /** When the alert was raised or resolved, ISO 8601. */
  at: string;
  system: string;
  /** What the channel called the message of its raising: the answer goes there. */
  thread?: string;
  /** It was told before, and is still so. */
  reminder?: boolean;
}

export interface SendRequest {
  /** Its name in `notifications` of the plan. */
  channel: string;
  notice: Notice;
}
export interface Sent {
  /** What the channel calls the message, where it has threads. */
  thread?: string;
  /** Of several recipients, these were refused. */
  refused?: string[];
}

export interface OpenAlert extends Alert {
  /** Since when, ISO 8601. */
  since: string;
  /** Who finds it: names of hosts; `''` is a workflow that told it, and will tell when it is over. */
  sources: string[];
}
/** A notice that a channel did not take. */
export interface Undelivered {
  channel: string;
  key: string;
  state: Notice['state'];
  title: string;
  at: string;
  why: string;
  hint?: string;
}
export interface AlertsNow {
  open: OpenAlert[];
  undelivered: Undelivered[];
  /** Notices that are on their way: the activities that send them. */
  sending: { channel: string; title: string; activity: string }[];
  /** When the hosts were last asked for trouble, ISO 8601; absent: not yet. */
  lastChecked?: string;
}

/** What `lifeboat alerts test` found of a channel. */
export interface TestedChannel {
  channel: string;
  delivered: boolean;
  why?: string;
  hint?: string;
}

export const raiseSignal = defineSignal<[Alert]>('raise');
/** `text`: what mended it. */
export const resolveSignal = defineSignal<[{ key: string; text?: string }]>('resolve');
export const alertsQuery = defineQuery<AlertsNow>('alerts');
