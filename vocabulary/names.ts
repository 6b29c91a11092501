import type { BackupKind } from './backup.js';

/** Names that the client, the workers and the workflows must agree on. */

/**
 * Control worker and agents are updated one after the other. Raised when one of them could not go on with what an older
 * other one gives or takes: an incident between two that differ is refused at its check, before anything is changed.
 */
export const protocol = 1;

/** The workflow type of a scenario: `databaseCorruption` for `database-corruption`. */
export const workflowTypeOf = (scenario: string): string =>
  scenario.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The one workflow ID of a system's incident: holding it is the lock of the system. */
export const incidentWorkflowId = (system: string): string => `lifeboat/${system}/incident`;
/** Where a recovered incident waits for its tasks: beside the lock, so that the next incident can be declared. */
export const recoveredWorkflowId = (system: string, incident: string): string =>
  `${incidentWorkflowId(system)}/${incident}`;
/** Drills have a lock of their own, so that a drill never keeps an incident from being declared. */
export const drillWorkflowId = (system: string): string => `lifeboat/${system}/drill`;
/**
 * The one workflow ID of all work on the backups of a component: taking, verifying, restoring and cleaning up never run
 * beside each other, whoever asked for them. A database has one for its physical and its logical backups.
 */
export const backupWorkId = (system: string, kind: BackupKind, component: string): string =>
  `lifeboat/${system}/backups/${kind === 'physical' || kind === 'logical' ? 'database' : kind}/${component}`;
export const doctorWorkflowId = (system: string, unique: string): string => `lifeboat/${system}/doctor/${unique}`;
/** The one workflow of a system that keeps its open alerts and tells the channels of the plan. */
export const alertsWorkflowId = (system: string): string => `lifeboat/${system}/alerts`;
/** Beside an incident: what people are told of it. */
export const communicationsWorkflowId = (system: string, incident: string): string =>
  `lifeboat/${system}/communications/${incident}`;
export const scheduleId = (system: string, what: string): string => `lifeboat/${system}/${what}`;

/** The queue that every control worker of the system polls. */
export const controlQueue = (system: string): string => `lifeboat/${system}/control`;
/** The queue that only the agent of that host polls. */
export const hostQueue = (system: string, host: string): string => `lifeboat/${system}/host/${host}`;

/** `shop-20261121-031502`: the name of an incident, from the second at which it was declared. */
export function incidentName(system: string, declaredAt: Date, kind: 'incident' | 'drill' = 'incident'): string {
  const stamp = declaredAt.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${system}${kind === 'drill' ? '-drill' : ''}-${stamp}`;
}

/**
 * Where the copy is restored to, and where the damaged data directory is moved: always its siblings, so that a rename
 * puts them in place.
 */
export const restoredDirectory = (dataDirectory: string, incident: string): string =>
  `${dataDirectory}.restored-${incident}`;
export const quarantineDirectory = (dataDirectory: string, incident: string): string =>
  `${dataDirectory}.quarantine-${incident}`;
