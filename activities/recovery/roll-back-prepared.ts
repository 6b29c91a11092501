import pg from 'pg';
import type { PreparedInCopy } from '../../vocabulary/incident.js';
import { demandRestored } from '../backups/restored-mark.js';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { codeOf, failure } from '../errors.js';
import { demandClaim } from '../postgres/claim.js';
import { clusterOf } from '../postgres/cluster.js';
import { withClient } from '../postgres/connect.js';
import { preparedTransactions } from '../postgres/prepared.js';
import { demandScratch, scratchOf } from '../postgres/scratch.js';
import { stopServer } from '../postgres/server.js';
import { startCopy } from './verify-restored.js';

export interface RollBackPreparedInput {
  database: string;
  incident: string;
  /** What the person saw who decided: nothing else is ended. */
  prepared: Pick<PreparedInCopy, 'gid' | 'database'>[];
}

/**
 * Rolls prepared transactions back in the verified copy, before it takes production's place. Nothing else of it
 * changes, so nothing is verified anew. Those that an earlier attempt has ended are not there any more, and count as
 * ended.
 */
export const rollBackPrepared = (context: HostContext): Capability<RollBackPreparedInput, { summary: string }> => ({
  rehearse: () => Promise.resolve({ summary: 'rolled back in the copy' }),

  async execute({ database, incident, prepared }) {
    const cluster = clusterOf(context, database);
    await demandClaim(cluster, incident);
    const scratch = scratchOf(cluster, incident);
    await demandRestored(scratch, incident);
    await startCopy(cluster, scratch);
    const { socketDirectory } = scratch;
    const inCopy = () => withClient(cluster, { socketDirectory, database: 'postgres' }, preparedTransactions);
    try {
      const there = new Set((await inCopy()).map(named));
      for (const one of prepared.filter((each) => there.has(named(each)))) {
        progress({ what: `rolling back ${one.gid}` });
        await checkpoint('before rolling a prepared transaction back');
        await withClient(cluster, { socketDirectory, database: one.database }, async (client) => {
          await demandScratch(client, scratch);
          await client.query(`rollback prepared ${pg.escapeLiteral(one.gid)}`);
        }).catch((error: unknown) => {
          throw cannotEnd(one, error);
        });
        await checkpoint('after rolling a prepared transaction back');
      }
      const asked = new Set(prepared.map(named));
      const left = (await inCopy()).filter((each) => asked.has(named(each)));
      if (left[0]) throw cannotEnd(left[0], new Error('it is still there'));
    } finally {
      await stopServer(cluster, scratch.directory);
    }
    return {
      summary: `rolled back in the copy: ${prepared.map(({ gid, database: of }) => `${pg.escapeLiteral(gid)} in ${of}`).join(', ')}`,
    };
  },
});

const named = ({ gid, database }: Pick<PreparedInCopy, 'gid' | 'database'>) => JSON.stringify([database, gid]);

const cannotEnd = ({ gid, database }: Pick<PreparedInCopy, 'gid' | 'database'>, error: unknown) =>
  failure(
    'CommandFailed',
    `prepared transaction ${pg.escapeLiteral(gid)} of database ${database} could not be rolled back: ${(error as Error).message}`,
    'Production was not touched. Try again: lifeboat decide retry; or leave it as it is, to be ended by its application later: lifeboat decide skip --reason "..."',
    { code: codeOf(error) },
  );
