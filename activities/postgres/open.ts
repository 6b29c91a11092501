import { rmdir } from 'node:fs/promises';
import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { exists, removeTree } from '../files.js';
import { claimedBy, releaseClaim } from './claim.js';
import { removeClosedSocket } from './closed-server.js';
import { closedSocket } from './closed-socket.js';
import { removeClosings } from './closing.js';
import { clusterOf } from './cluster.js';
import { answers } from './connect.js';
import { forgetServerLogs } from './evidence.js';
import { hbaFile, isClosed, liftFence } from './fence.js';
import { resumeSubscriptions } from './subscriptions.js';
import { launch, stopServer, untilReady } from './server.js';
import { setAsideSynchronous } from './synchronous.js';
import { beatOnce } from './canary.js';
import { scratchOf } from './scratch.js';

export interface OpenInput {
  database: string;
  incident: string;
}

/** Opens the database to everyone again, and proves that it takes a write. */
export const openDatabase = (context: HostContext): Capability<OpenInput, { summary: string; warnings: string[] }> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    return { summary: `could be opened: ${await hbaFile(cluster)} can be put back`, warnings: [] };
  },
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const holder = await claimedBy(cluster);
    if (holder && holder !== incident)
      throw failure(
        'Busy',
        `incident ${holder} holds the data directory of ${database}`,
        'Close or abort that incident first.',
      );
    await liftFence(cluster);
    // Closed, it listens nowhere that anybody could reach; open, it is as its own configuration says, with its own
    // workers.
    if (await closedSocket(cluster)) await stopServer(cluster);
    await launch(cluster);
    await removeClosedSocket(cluster);
    await untilReady(cluster, { directory: cluster.dataDirectory, seconds: 300, what: 'starting it' }, async () =>
      (await answers(cluster)) ? true : undefined,
    );
    await removeClosings(cluster);
    await forgetServerLogs(cluster);
    await resumeSubscriptions(cluster);
    const aside = await setAsideSynchronous(cluster);
    const canary = await beatOnce(cluster);
    return {
      summary: `open, and takes writes (canary ${canary?.seq ?? 'unknown'})`,
      warnings: aside
        ? [
            `synchronous replication (${aside}) is set aside until its standbys stream: a commit does not wait for them now; the agent demands it again by itself`,
          ]
        : [],
    };
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
