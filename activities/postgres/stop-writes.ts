import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Capability } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { codeOf, failure, isFailure } from '../errors.js';
import { claim } from './claim.js';
import { proveClosed, startClosed, whyNotRestart } from './closed-server.js';
import { closedSocket } from './closed-socket.js';
import { markClosing } from './closing.js';
import { type Cluster, clusterOf, provenDataDirectory } from './cluster.js';
import { type Client, one, tooDamagedToConnect, withClient } from './connect.js';
import { mendConfiguration } from './configuration.js';
import { noteServerLog } from './evidence.js';
import { hbaFile, isClosed, liftFence, putFence, reload } from './fence.js';
import { openProbe, proveFence, sessionWrites, stillWrites } from './fence-proof.js';
import { endOrphans, postmasterPid, stopServer } from './server.js';

export interface StopWritesInput {
  database: string;
  incident: string;
}
export interface StopWritesResult {
  summary: string;
  proofs: string[];
  warnings: string[];
}

/** Closes the database on its host, ends its sessions, and proves that nothing can be committed any more. */
export const stopWrites = (context: HostContext): Capability<StopWritesInput, StopWritesResult> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    const hba = await hbaFile(cluster);
    await access(dirname(hba), constants.W_OK);
    const running = (await postmasterPid(directory)) !== undefined;
    const sessions = running
      ? await withClient(cluster, { database: 'postgres' }, (client) =>
          one<string>(
            client,
            `select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
          ),
        )
      : '0';
    return {
      summary: `could be closed: ${hba} can be written, ${sessions} sessions would be ended`,
      proofs: [],
      warnings: [],
    };
  },

  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    await claim(cluster, incident);
    if (await closedSocket(cluster)) return (await tooDamaged(cluster)) ?? (await closed(cluster, incident, 0, []));
    await mendConfiguration(cluster);
    const running = (await postmasterPid(directory)) !== undefined;
    await noteServerLog(cluster, incident);
    const probe = running && !(await isClosed(cluster)) ? await openProbe(cluster) : undefined;
    try {
      await putFence(cluster, incident);
      if (!running) {
        const ended = await endOrphans(directory);
        const proofs = [
          'its postmaster is not alive',
          ended > 0 ? `${ended} backends that it left were ended` : 'no backend is left of it',
        ];
        return { summary: 'the server does not run, and is closed when it starts', proofs, warnings: [] };
      }
      await reload(directory);
      await demandOwnWay(cluster);
      const damaged = await tooDamaged(cluster);
      if (damaged) return damaged;
      const why = await whyNotRestart(cluster);
      return why === undefined
        ? await restartClosed(cluster, incident, probe)
        : await closeAsItRuns(cluster, incident, probe, why);
    } catch (error) {
      if (isFailure(error, 'ServerFailed') && !(await postmasterPid(directory))) {
        throw failure(
          'FenceFailed',
          'the server went down while it was being closed',
          'It can no longer be written to; lifeboat decide retry goes on from there.',
        );
      }
      throw error;
    } finally {
      await probe?.end().catch(() => undefined);
    }
  },
});

/**
 * Stops the server, which ends every session and every worker of an extension, and starts it where nobody but Lifeboat
 * reaches it.
 */
async function restartClosed(cluster: Cluster, incident: string, probe: Client | undefined): Promise<StopWritesResult> {
  // With no room for one more session nobody can count them.
  const sessions = await withClient(cluster, { database: 'postgres' }, (client) =>
    one<string>(
      client,
      `select pg_catalog.count(*) from pg_catalog.pg_stat_activity where backend_type = 'client backend' and application_name <> 'lifeboat'`,
    ),
  ).catch(() => undefined);
  await stopServer(cluster);
  await checkpoint('before starting it closed');
  try {
    await startClosed(cluster);
  } catch (error) {
    if (!isFailure(error, 'ServerFailed') && !isFailure(error, 'CommandFailed')) throw error;
    // It ran a moment ago. Nobody gets in past the closed pg_hba.conf, whoever starts it.
    await stopServer(cluster);
    return {
      summary: `stopped, and it does not start again: ${error.message}`,
      proofs: ['its postmaster is not alive'],
      warnings: [`PostgreSQL does not start any more since writes were stopped: ${error.message}`],
    };
  }
  if (probe && (await stillWrites(probe))) throw sessionWrites();
  const proofs = probe ? ['a session that was open before can no longer write'] : [];
  return closed(cluster, incident, sessions === undefined ? undefined : Number(sessions), proofs);
}

/** Stops a server that lets nobody in: nothing could be proven on it, and what does not run cannot write. */
async function tooDamaged(cluster: Cluster): Promise<StopWritesResult | undefined> {
  const damage = await tooDamagedToConnect(cluster);
  if (!damage) return undefined;
  await stopServer(cluster);
  const proofs = [`it let nobody in (${damage})`, 'its postmaster is not alive'];
  return { summary: 'stopped, and closed when it starts', proofs, warnings: [] };
}

async function closed(
  cluster: Cluster,
  incident: string,
  sessions: number | undefined,
  proofs: string[],
): Promise<StopWritesResult> {
  const proven = await proveClosed(cluster);
  await markClosing(cluster, incident);
  const ended = sessions === undefined ? 'all sessions' : `${sessions} ${sessions === 1 ? 'session' : 'sessions'}`;
  return {
    summary: `closed: ${ended} ended, a write is refused`,
    proofs: [...proofs, ...proven.proofs],
    warnings: proven.warnings,
  };
}

/**
 * The second best: it goes on as it runs, since it might not come back, and pg_hba.conf alone keeps everybody out who
 * is not its superuser.
 */
async function closeAsItRuns(
  cluster: Cluster,
  incident: string,
  probe: Client | undefined,
  why: string,
): Promise<StopWritesResult> {
  const proof = await proveFence(cluster, probe);
  await markClosing(cluster, incident).catch(() => undefined);
  const ended = `${proof.sessionsEnded} ${proof.sessionsEnded === 1 ? 'session' : 'sessions'} ended`;
  const { user } = cluster.plan.postgres;
  return {
    summary: `closed by pg_hba.conf alone: ${ended}, a write is refused`,
    proofs: proof.proofs,
    warnings: [
      `PostgreSQL was not restarted to close it, since it might not come back: ${why}. Who can become ${user} on ${cluster.context.host} can still write over the socket: see that nobody does`,
      ...(proof.workersEnded.length > 0
        ? [`ended until the server is restarted: ${proof.workersEnded.join(', ')}`]
        : []),
    ],
  };
}

/** A fence that keeps Lifeboat out as well would end every recovery here: it is lifted again at once, and said. */
async function demandOwnWay(cluster: Cluster): Promise<void> {
  const why = await withClient(cluster, { database: 'postgres' }, () => Promise.resolve(undefined)).catch(
    (error: unknown) => error as Error,
  );
  // Class 28: whoever it is, pg_hba.conf or a password keeps them out.
  if (!why || !codeOf(why)?.startsWith('28')) return;
  await liftFence(cluster);
  throw failure(
    'FenceFailed',
    `the fence would keep Lifeboat's own user out, and was lifted: ${why.message}`,
    `Let ${cluster.plan.postgres.user} in over the socket by a "local" line of pg_hba.conf, then: lifeboat decide retry`,
  );
}

/**
 * A person attests that writes are stopped, where it could not be proven. The data directory is still taken for the
 * incident, and closed for whoever starts or reloads its server; what of that cannot be done is said.
 */
export const attestStopped = (context: HostContext): Capability<StopWritesInput, { summary: string }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing to attest' }),
  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    await claim(cluster, incident);
    const closed = await putFence(cluster, incident).then(
      () => 'pg_hba.conf is closed',
      (error: unknown) => `pg_hba.conf could not be closed: ${(error as Error).message}`,
    );
    await reload(cluster.dataDirectory);
    return { summary: `attested, not proven; ${closed}` };
  },
});
