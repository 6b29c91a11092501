import type { Capability } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { clusterOf, provenDataDirectory } from './cluster.js';
import { one, withClient } from './connect.js';
import { hbaFile, isClosed, openProbe, proveFence, putFence, reload } from './fence.js';
import { claim } from './claim.js';
import { postmasterPid } from './server.js';
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
    const running = (await postmasterPid(directory)) !== undefined;
    const probe = running && !(await isClosed(cluster)) ? await openProbe(cluster) : undefined;
    try {
      await putFence(cluster, incident);
      await checkpoint('after closing pg_hba.conf');
      if (!running) return { summary: 'the server does not run, and is closed when it starts', proofs: ['its postmaster is not alive'] };
      await reload(directory);
      const proof = await proveFence(cluster, probe);
      return { summary: `closed: ${proof.sessionsEnded} sessions ended, a write is refused`, proofs: proof.proofs };
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
