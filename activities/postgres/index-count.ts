import type { Client } from './connect.js';
import type { Relation } from './relations.js';

/**
 * Counts a table's rows once through an index and once through the table itself, in one snapshot. Rows that an index leads to and the table does not have
 * are gone: a file that was cut off and is sound as far as it goes. (What the index lacks, amcheck says.) Without a B-tree both are the same count.
 * Returns a sentence when rows are gone; a page that an index leads to beyond the end of the file is an error of class XX.
 */
export async function rowsGone(client: Client, { quoted }: Pick<Relation, 'quoted'>): Promise<string | undefined> {
  const count = async (settings: string[]) => {
    for (const setting of settings) await client.query(`set local ${setting}`);
    const { rows } = await client.query<{ n: string }>(`select count(*) as n from only ${quoted}`);
    return Number(rows[0]!.n);
  };
  await client.query('begin isolation level repeatable read read only');
  try {
    const byIndex = await count(['enable_seqscan = off', 'enable_bitmapscan = off']);
    const byTable = await count(['enable_seqscan = on', 'enable_indexscan = off', 'enable_indexonlyscan = off']);
    return byIndex > byTable ? `an index leads to ${byIndex} rows, and the table has ${byTable}` : undefined;
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

/** Those that an application made: the catalogs are read by other checks. */
export const isCounted = ({ kind, method, oid }: Relation): boolean => ['r', 'm'].includes(kind) && method === 'heap' && oid >= 16_384;
