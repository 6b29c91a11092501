import { progress } from '../capability.js';
import type { Checked } from './amcheck.js';
import type { CheckSession } from './check-session.js';
import type { Client } from './connect.js';
import type { InDatabase } from './relation-files.js';
import type { Relation } from './relations.js';
import { judge } from './sqlstate.js';

/** The B-tree that leads to every row of a table, when it has one. */
export const indexOver = (table: number, relations: Relation[]): Relation | undefined =>
  relations.find((index) => index.table === table && index.method === 'btree' && index.usable && index.whole);

/**
 * Counts each table that an application made once through an index and once through the table itself, in one snapshot.
 * Rows that an index leads to and the table does not have are gone: a file that was cut off and is sound as far as it
 * goes. (What the index lacks, amcheck says.) Not where anything of the table is known to be damaged: its indexes are
 * read as soon as a query is planned. Throws CannotLook. `gone`: a sentence for each that counts fewer rows; `damage`:
 * what cannot be read, such as a page beyond the end of the file.
 */
export async function countByIndex(
  session: CheckSession,
  databases: InDatabase[],
  damaged: Checked['damage'],
  host: string,
): Promise<{ gone: Checked['damage']; damage: Checked['damage']; notChecked: string[] }> {
  const found = { gone: [] as Checked['damage'], damage: [] as Checked['damage'], notChecked: [] as string[] };
  for (const { database, relations } of databases) {
    const bad = new Set(
      damaged.filter((one) => one.database.oid === database.oid).map(({ relation }) => relation?.oid),
    );
    const spoilt = new Set(relations.filter(({ oid }) => bad.has(oid)).map(({ oid, table }) => table ?? oid));
    const tables = relations.filter(
      (relation) => isCounted(relation) && !spoilt.has(relation.oid) && indexOver(relation.oid, relations),
    );
    if (tables.length === 0) continue;
    await session(database.name, async (client) => {
      for (const relation of tables) {
        progress({ what: `counting ${relation.label}` });
        try {
          const says = await rowsGone(client, relation);
          if (says) found.gone.push({ database, relation, kind: 'table', says });
        } catch (error) {
          const seen = judge(relation.label, error, host);
          if ('damage' in seen) found.damage.push({ database, relation, kind: 'table', says: seen.damage });
          else found.notChecked.push(`rows of ${relation.label}: ${seen.notChecked}`);
        }
      }
    });
  }
  return found;
}

async function rowsGone(client: Client, { quoted }: Relation): Promise<string | undefined> {
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

/** The catalogs are read by other checks. */
const isCounted = ({ kind, method, oid }: Relation): boolean =>
  ['r', 'm'].includes(kind) && method === 'heap' && oid >= 16_384;
