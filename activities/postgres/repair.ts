import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { checkSession } from './check-session.js';
import { demandClaim } from './claim.js';
import { noteOwnWrites } from './closing.js';
import { type Cluster, clusterOf } from './cluster.js';
import { type Client, one } from './connect.js';
import type { DatabaseName } from './relations.js';
import { withTheirPath } from './session.js';
import { isLocked } from './sqlstate.js';

/** Exactly one index of a cluster: OIDs say which, the name is what it had when it was found. */
export interface DamagedIndex {
  database: DatabaseName;
  oid: number;
  /** Schema and name, quoted. */
  name: string;
}

export interface RepairInput {
  database: string;
  incident: string;
  damagedIndexes: DamagedIndex[];
  vacuumFull: boolean;
}

/**
 * Rebuilds the damaged indexes (REINDEX) and, where asked, rewrites their tables (VACUUM FULL). Done twice, it is done
 * once. Throws WrongTarget when one of them is not what was found to be damaged, after the others were rebuilt; Busy
 * when somebody holds a lock on one.
 */
export const repair = (context: HostContext): Capability<RepairInput, { summary: string }> => ({
  rehearse: ({ damagedIndexes }) => Promise.resolve({ summary: `${indexes(damagedIndexes.length)} could be rebuilt` }),

  async execute({ database, incident, damagedIndexes, vacuumFull }) {
    const cluster = clusterOf(context, database);
    await demandClaim(cluster, incident);
    return rebuild(cluster, damagedIndexes, vacuumFull).finally(() => noteOwnWrites(cluster, incident));
  },
});

async function rebuild(
  cluster: Cluster,
  damagedIndexes: DamagedIndex[],
  vacuumFull: boolean,
): Promise<{ summary: string }> {
  const session = checkSession(cluster);
  const rewritten = new Set<string>();
  const gone: string[] = [];
  let rebuilt = 0;
  for (const [at, damaged] of damagedIndexes.entries()) {
    progress({ what: `REINDEX ${damaged.name}`, percent: Math.round((100 * at) / damagedIndexes.length) });
    await session(damaged.database.name, async (client) => {
      const found = await find(client, damaged);
      if (!found) {
        gone.push(`${damaged.name} in database ${damaged.database.name}`);
        return;
      }
      await checkpoint(`before reindex`);
      await withTheirPath(client, () => client.query(`reindex index ${damaged.name}`));
      await checkpoint(`after reindex`);
      rebuilt += 1;
      const table = `${damaged.database.oid}/${found.table}`;
      if (!vacuumFull || rewritten.has(table)) return;
      rewritten.add(table);
      progress({ what: `VACUUM FULL ${found.quoted}` });
      await checkpoint('before vacuum full');
      await withTheirPath(client, () => client.query(`vacuum full ${found.quoted}`));
      await checkpoint('after vacuum full');
    }).catch((error: unknown) => {
      if (!isLocked(error)) throw error;
      throw failure(
        'Busy',
        `${damaged.name} in database ${damaged.database.name} cannot be rebuilt: somebody holds a lock on it`,
        'End it (select * from pg_locks, pg_prepared_xacts), then: lifeboat decide retry',
      );
    });
  }
  const vacuumed = rewritten.size > 0 ? `, ${rewritten.size} tables rewritten` : '';
  const summary = `${indexes(rebuilt)} rebuilt${vacuumed}`;
  if (gone.length === 0) return { summary };
  throw failure(
    'WrongTarget',
    `${summary}; not there any more: ${gone.join(', ')}`,
    'Somebody changed them since they were found damaged. To restore instead: lifeboat decide skip',
  );
}

const indexes = (count: number) => `${count} ${count === 1 ? 'index' : 'indexes'}`;

/** The index by its OID, with its table; undefined when it has another name by now, or is in another database. */
async function find(
  client: Client,
  { database, oid, name }: DamagedIndex,
): Promise<{ table: number; quoted: string } | undefined> {
  if ((await one<number>(client, 'select oid from pg_database where datname = current_database()')) !== database.oid)
    return undefined;
  const { rows } = await client.query<{ table: number; quoted: string }>(
    `select i.indrelid as table, format('%I.%I', tn.nspname, t.relname) as quoted
     from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
       join pg_class t on t.oid = i.indrelid join pg_namespace tn on tn.oid = t.relnamespace
     where c.oid = $1 and c.relkind = 'i' and format('%I.%I', n.nspname, c.relname) = $2`,
    [oid, name],
  );
  return rows[0];
}
