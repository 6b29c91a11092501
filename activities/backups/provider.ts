import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import type { Keep } from '../../plan/schema.js';
import type { BackupKind, BackupListing, BackupRecord } from '../../vocabulary/backup.js';
import type {
  BackupResult,
  RestoreRequest,
  RestoreResult,
  TakeRequest,
  TestRestoreRequest,
  TestRestoreResult,
  VerifyRequest,
  VerifyResult,
} from '../../vocabulary/backup-work.js';

/** A backup that is to go, and why. */
export interface Expirable {
  id: string;
  location: string;
  why: string;
}

/**
 * One kind of backup: how it is taken, listed, verified, restored and removed. One file (or folder) for each, one line
 * in providers.ts.
 */
export interface BackupProvider {
  readonly kind: BackupKind;
  /**
   * Takes one at every location of the component and reads it back there. What this run already took is not taken
   * again.
   */
  readonly take: (context: HostContext) => Capability<TakeRequest, BackupResult>;
  /** What there is, at every location, newest first. */
  readonly list: (context: HostContext, component: string) => Promise<BackupListing>;
  /** Reads backups whole and compares every digest. Notes the outcome in their records. */
  readonly verify: (context: HostContext) => Capability<VerifyRequest, VerifyResult>;
  /**
   * Restores one to scratch on this host, verifies it there, removes the copy, and notes in the record how fast it was.
   */
  readonly testRestore: (context: HostContext) => Capability<TestRestoreRequest, TestRestoreResult>;
  /**
   * Restores one for a person. Never over anything: what was there is renamed aside. Physical backups are restored by
   * an incident.
   */
  readonly restore?: (context: HostContext) => Capability<RestoreRequest, RestoreResult>;
  /**
   * Removes backups of a component at a location: the data after the record, so that nothing half-removed is listed.
   * Done twice, it is done once.
   */
  readonly remove: (context: HostContext, component: string, location: string, ids: string[]) => Promise<void>;
  /** Those that go, when the provider has rules of its own (physical ones, which depend on each other). */
  readonly expirable?: (context: HostContext, component: string, backups: BackupRecord[]) => Promise<Expirable[]>;
  /** Which are kept; undefined when the provider decides by itself (physical). */
  readonly keep?: (context: HostContext, component: string) => Keep;
}
