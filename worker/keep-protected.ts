import { databasesOn } from '../plan/access.js';
import type { HostContext } from '../activities/context.js';
import { ensureArchiving } from '../activities/backups/protect.js';
import { keepCanary, pause } from '../activities/postgres/canary.js';
import { claimedBy } from '../activities/postgres/claim.js';
import { type Cluster, clusterOf } from '../activities/postgres/cluster.js';
import { takeKnownRows } from '../activities/postgres/known-rows.js';
import { isClosed } from '../activities/postgres/fence.js';
import { bringBackSynchronous, isSetAside } from '../activities/postgres/synchronous.js';

const rowsEverySeconds = 15 * 60;

/** What an agent does without being asked, and without Temporal: canary, archiving, known row counts of the databases whose primary is here. */
export async function keepProtected(context: HostContext, signal: AbortSignal): Promise<void> {
  const mine = databasesOn(context.plan, context.host).filter(({ role }) => role === 'primary');
  await Promise.all(
    mine.flatMap(({ database }) => {
      const cluster = clusterOf(context, database);
      // While an incident holds the database nothing is written to it and nothing is counted: its rows are what is in question.
      const held = async () => (await claimedBy(cluster)) !== undefined || (await isClosed(cluster).catch(() => false));
      const physical = cluster.plan.backups.physical !== undefined;
      return [
        keepCanary(cluster, signal, held),
        keepSynchronous(cluster, signal),
        ...(physical ? [keepArchiving(context, database, signal, held)] : []),
      ];
    }),
  );
}

/** After a recovery: synchronous replication is demanded again when its standbys stream. */
async function keepSynchronous(cluster: Cluster, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    if (await isSetAside(cluster)) await bringBackSynchronous(cluster).catch(() => undefined);
    await pause(2000, signal);
  }
}

async function keepArchiving(context: HostContext, database: string, signal: AbortSignal, held: () => Promise<boolean>): Promise<void> {
  const cluster = clusterOf(context, database);
  let said = '';
  while (!signal.aborted) {
    let wait = rowsEverySeconds;
    try {
      if (!(await held())) {
        await ensureArchiving(cluster);
        await takeKnownRows(cluster);
      }
    } catch (error) {
      // A database that is down is for an incident or its owner to start; try again soon, and say each trouble once.
      wait = 10;
      const says = (error as Error).message;
      if (says !== said) console.error(`${new Date().toISOString()} agent of ${context.host}: ${database} is not protected now: ${says}`);
      said = says;
    }
    await pause(wait * 1000, signal);
  }
}
