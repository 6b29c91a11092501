import { rmdir } from 'node:fs/promises';
import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { exists, removeTree } from '../files.js';
import { claimedBy, releaseClaim } from './claim.js';
import { clusterOf } from './cluster.js';
import { answers } from './connect.js';
import { hbaFile, isClosed, liftFence } from './fence.js';
import { resumeSubscriptions } from './subscriptions.js';
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
    await liftFence(cluster);
    await untilReady(cluster, { directory: cluster.dataDirectory, seconds: 300, what: 'starting it' }, async () =>
      (await answers(cluster)) ? true : undefined,
    );
    await resumeSubscriptions(cluster);
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
      // Only when it is empty: a copy that is in place now may have its tablespaces there.
      await rmdir(`${scratch.directory}.tablespaces`).catch(() => undefined);
      await removeTree(scratch.socketDirectory);
      await removeTree(scratch.hba);
    }
    const closed = await isClosed(cluster).catch(() => undefined);
    const summary =
      closed === undefined
        ? 'whether the database is closed could not be seen'
        : closed
          ? 'the database is closed'
          : 'the database is open';
    return { summary, closed: closed === true };
  },
});
