import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { type Cluster, clusterOf, provenDataDirectory } from './cluster.js';
import { one, tooDamagedToConnect, withClient } from './connect.js';
import { hbaFile, isClosed, liftFence, putFence, reload } from './fence.js';
import { openProbe, proveFence } from './fence-proof.js';
import { claim } from './claim.js';
import { mendConfiguration } from './configuration.js';
import { endOrphans, postmasterPid, stopServer } from './server.js';
import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface StopWritesInput {
  database: string;
  incident: string;
}
export interface StopWritesResult {
  summary: string;
  proofs: string[];
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
          one<string>(client, `select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`),
        )
      : '0';
    return { summary: `could be closed: ${hba} can be written, ${sessions} sessions would be ended`, proofs: [] };
  },

  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    await claim(cluster, incident);
    await mendConfiguration(cluster);
    const running = (await postmasterPid(directory)) !== undefined;
    const probe = running && !(await isClosed(cluster)) ? await openProbe(cluster) : undefined;
    try {
      await putFence(cluster, incident);
      if (!running) {
        const ended = await endOrphans(directory);
        const proofs = [
          'its postmaster is not alive',
          ended > 0 ? `${ended} backends that it left were ended` : 'no backend is left of it',
        ];
        return { summary: 'the server does not run, and is closed when it starts', proofs };
      }
      await reload(directory);
      await demandOwnWay(cluster);
      const damage = await tooDamagedToConnect(cluster);
      if (damage) {
        // Nothing could be proven on it, and it is of no use as it runs: what does not run cannot write.
        await stopServer(cluster);
        return { summary: 'stopped, and closed when it starts', proofs: [`it let nobody in (${damage})`, 'its postmaster is not alive'] };
      }
      const proof = await proveFence(cluster, probe);
      return {
        summary: `closed: ${proof.sessionsEnded} ${proof.sessionsEnded === 1 ? 'session' : 'sessions'} ended, a write is refused`,
        proofs: proof.proofs,
      };
    } catch (error) {
      if (error instanceof Error && /ECONNREFUSED|no connection/.test(error.message) && !(await postmasterPid(directory))) {
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

/** A fence that keeps Lifeboat out as well would end every recovery here: it is lifted again at once, and said. */
async function demandOwnWay(cluster: Cluster): Promise<void> {
  const why = await withClient(cluster, { database: 'postgres' }, () => Promise.resolve('')).catch(
    (error: unknown) => (error as Error).message,
  );
  if (!/pg_hba\.conf|authentication failed/.test(why)) return;
  await liftFence(cluster);
  throw failure(
    'FenceFailed',
    `the fence would keep Lifeboat's own user out, and was lifted: ${why}`,
    `Let ${cluster.plan.postgres.user} in over the socket by a "local" line of pg_hba.conf, then: lifeboat decide retry`,
  );
}

/**
 * A person attests that writes are stopped, where it could not be proven. The data directory is still taken for the incident, and closed for
 * whoever starts or reloads its server; what of that cannot be done is said.
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
