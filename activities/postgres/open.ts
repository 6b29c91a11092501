import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { exists, removeTree } from '../files.js';
import { claimedBy, releaseClaim } from './claim.js';
import { clusterOf } from './cluster.js';
import { answers, one, withClient } from './connect.js';
import { hbaFile, isClosed, liftFence } from './fence.js';
import { launch, untilReady } from './server.js';
import { beatOnce } from './canary.js';
import { scratchOf } from './scratch.js';

export interface OpenInput {
  database: string;
  incident: string;
}

/** Opens the database to everyone again, and proves that it takes a write. */
export const openDatabase = (context: HostContext): Capability<OpenInput, { summary: string }> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    return { summary: `could be opened: ${await hbaFile(cluster)} can be put back` };
  },
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const holder = await claimedBy(cluster);
    if (holder && holder !== incident)
      throw failure('Busy', `incident ${holder} holds the data directory of ${database}`, 'Close or abort that incident first.');
    await launch(cluster);
    await untilReady(cluster, { directory: cluster.dataDirectory, scratch: false, seconds: 300, what: 'starting it' }, async () =>
      (await answers(cluster)) ? true : undefined,
    );
    await liftFence(cluster);
    const canary = await beatOnce(cluster);
    return { summary: `open, and takes writes (canary ${canary?.seq ?? 'unknown'})` };
  },
});

/** The incident is over for this host: its hold on the data directory ends. What is quarantined stays. */
export const release = (context: HostContext): Capability<OpenInput, { summary: string; closed: boolean }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing was held', closed: false }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    await releaseClaim(cluster, incident);
    const scratch = scratchOf(cluster, incident);
    if (!(await exists(scratch.directory))) {
      await removeTree(`${scratch.directory}.json`);
      await removeTree(scratch.socketDirectory);
    }
    const closed = await isClosed(cluster).catch(() => false);
    return { summary: closed ? 'the database is closed' : 'the database is open', closed };
  },
});

/** Proves that the database takes no writes from this host's own point of view; used before a backup. */
export async function inRecovery(context: HostContext, database: string): Promise<boolean> {
  return withClient(
    clusterOf(context, database),
    { database: 'postgres' },
    async (client) => (await one<boolean>(client, 'select pg_is_in_recovery()')) === true,
  );
}
