import type pg from 'pg';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { demandClaim } from './claim.js';
import { clusterOf } from './cluster.js';
import { one, withClient } from './connect.js';
import { withTheirPath } from './session.js';

export interface RepairInput {
  database: string;
  incident: string;
  damagedIndexes: { database: string; index: string }[];
  vacuumFull: boolean;
}

/** Rebuilds the damaged indexes (REINDEX) and, where asked, rewrites their tables (VACUUM FULL). Done twice, it is done once. */
export const repair = (context: HostContext): Capability<RepairInput, { summary: string }> => ({
  rehearse: ({ damagedIndexes }) => Promise.resolve({ summary: `${damagedIndexes.length} indexes could be rebuilt` }),

  async execute({ database, incident, damagedIndexes, vacuumFull }) {
    const cluster = clusterOf(context, database);
    await demandClaim(cluster, incident);
    const rewritten = new Set<string>();
    for (const [at, damaged] of damagedIndexes.entries()) {
      progress({ what: `REINDEX ${damaged.index}`, percent: Math.round((100 * at) / damagedIndexes.length) });
      await withClient(cluster, { database: damaged.database, statementTimeout: 0 }, async (client) => {
        // pg_amcheck prints names without quotes: find the relation by its parts, and let the server quote it.
        const quoted = await quotedIndex(client, damaged.index);
        if (!quoted) return;
        await checkpoint(`before reindex`);
        await withTheirPath(client, () => client.query(`reindex index ${quoted}`));
        await checkpoint(`after reindex`);
        if (!vacuumFull) return;
        const table = await one<string>(client, 'select indrelid::regclass::text from pg_index where indexrelid = $1::regclass', [quoted]);
        if (!table || rewritten.has(`${damaged.database}.${table}`)) return;
        rewritten.add(`${damaged.database}.${table}`);
        progress({ what: `VACUUM FULL ${table}` });
        await checkpoint('before vacuum full');
        await withTheirPath(client, () => client.query(`vacuum full ${table}`));
        await checkpoint('after vacuum full');
      });
    }
    const vacuumed = rewritten.size > 0 ? `, ${rewritten.size} tables rewritten` : '';
    return { summary: `${damagedIndexes.length} indexes rebuilt${vacuumed}` };
  },
});

async function quotedIndex(client: pg.Client, path: string): Promise<string | undefined> {
  const sql = `select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname || '.' || c.relname = $1 and c.relkind = 'i'`;
  return one<string>(client, sql, [path]);
}
