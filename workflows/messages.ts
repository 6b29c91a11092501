import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { ScenarioName } from '../plan/schema.js';
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
}

export interface Approval {
  by: string;
  /** The question that is answered; absent: the one that is open. */
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

export type BackupType = 'full' | 'differential' | 'incremental';
export interface BackupInput {
  system: string;
  database: string;
  type: BackupType;
}
export interface BackupResult {
  label: string;
  type: BackupType;
  database: string;
  locations: string[];
  bytes: number;
  seconds: number;
  /** One line for people. */
  says: string;
  /** Locations that did not take it, with why. */
  failed: string[];
}

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
