import { ApplicationFailure, isCancellation, patched } from '@temporalio/workflow';
import type { ComponentFacts } from '../../activities/read-component.js';
import type { BackupKind } from '../../vocabulary/backup.js';
import { type Observation, type Topology, topologyOf } from '../../vocabulary/topology.js';
import { onControl, onHost } from '../activities.js';
import { problemOf } from '../problems.js';

/**
 * Asks all hosts of a database at once what it is there. A host that does not answer says nothing, and is not waited
 * for.
 */
export async function observeHosts(
  system: string,
  database: string,
  planned: { primary: string; standbys: string[] },
  what: string,
): Promise<Topology & { seen: Record<string, Observation> }> {
  const look = async (host: string): Promise<[string, Observation]> => {
    try {
      return [host, await onHost(system, host, 'ask', what).observeDatabase({ form: 'execute', database })];
    } catch (error) {
      if (isCancellation(error)) throw error;
      return [host, { server: 'unclear', why: problemOf(error).message }];
    }
  };
  const seen = Object.fromEntries(await Promise.all([planned.primary, ...planned.standbys].map(look)));
  return { ...topologyOf(planned, seen), seen };
}

/** What happened, and what to do, when several hosts serve one database. */
export function severalPrimaries(
  database: string,
  { primaries, seen }: { primaries: string[]; seen: Record<string, Observation> },
) {
  const down = primaries.filter((host) => seen[host]!.server !== 'up');
  const each = primaries.map((host) => {
    const { server, timeline, lsn, promoted } = seen[host]!;
    const is = server === 'up' ? `at ${lsn}` : 'its server does not answer';
    return `${host} (timeline ${timeline ?? 'unknown'}, ${is}${promoted === false ? ', never promoted to it' : ''})`;
  });
  return {
    message: `${primaries.length} hosts claim to be the primary of ${database}: ${each.join(' and ')}. Each may have what the other does not`,
    hint: [
      'Find out which of them the services write to. Stop the server on the other one, and keep its data directory: it may have rows that are nowhere else.',
      ...(down.length === 0
        ? []
        : [
            `If ${down.join(', ')} is stopped already and not to be it, make the other one the primary in the plan and move its data directory aside.`,
          ]),
      'Then try again.',
    ].join(' '),
  };
}

/** Where the database is a primary now. Throws WrongTarget when several hosts are. */
export async function primaryNow(
  system: string,
  database: string,
  planned: { primary: string; standbys: string[] },
  what: string,
): Promise<string> {
  if (planned.standbys.length === 0 || !patched('observed')) return planned.primary;
  const found = await observeHosts(system, database, planned, `${what}: who is the primary`);
  if (found.primaries.length < 2) return found.primary;
  const { message, hint } = severalPrimaries(database, found);
  throw ApplicationFailure.create({ type: 'WrongTarget', nonRetryable: true, message, details: [{ hint }] });
}

/**
 * What a workflow needs to know of a component, with the host that its backups are made on now: where the database is a
 * primary, which after a promotion is not where the plan means it to be. Throws WrongTarget when several are.
 */
export async function readComponent(
  system: string,
  kind: BackupKind,
  component: string,
  what: string,
): Promise<ComponentFacts> {
  const facts = await onControl(system, 'look', what).readComponent({ form: 'execute', kind, component });
  const { host: primary, standbys = [] } = facts;
  return { ...facts, host: await primaryNow(system, component, { primary, standbys }, what) };
}
