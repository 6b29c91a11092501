import { one } from './connect.js';
import type { CheckSession } from './check-session.js';
import type { Suspect } from './relation-files.js';
import type { Relation } from './relations.js';
import { judge } from './sqlstate.js';

/**
 * Whether zero pages inside of a table are rows that are gone. A page that was added right before a crash and never
 * written is zero too; but an entry of an index is made after its row, and VACUUM removes it before the page of the row
 * can go, also one that is marked as dead (a scan marks whatever it does not find). So an entry on a leaf that leads to
 * such a page proves that there were rows; where there is none, nothing was there. `index`: a B-tree over all rows.
 * Undefined: nobody can tell, since pageinspect is not on this host. Nothing that it makes stays. Throws CannotLook.
 * Source: PostgreSQL manual, pageinspect; src/backend/access/nbtree/README.
 */
export async function rowsInZeroPages(
  session: CheckSession,
  { database, relation: { label }, blocks }: Suspect,
  index: Relation,
  host: string,
): Promise<number | undefined> {
  return session(database.name, async (client) => {
    await client.query('begin');
    try {
      if (!(await one<boolean>(client, `select exists(select from pg_extension where extname = 'pageinspect')`)))
        await client.query('create extension pageinspect');
      const schema = await one<string>(
        client,
        `select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace where extname = 'pageinspect'`,
      );
      const entries = await one<string>(
        client,
        `select count(*) from generate_series(1, pg_relation_size($1::oid::regclass) / current_setting('block_size')::int - 1) b,
           lateral ${schema}.bt_page_stats($2, b) s, lateral ${schema}.bt_page_items($2, b) i,
           lateral unnest(coalesce(i.tids, array[i.htid])) t
         where s.type in ('l', 'r') and s.btpo_level = 0
           and (s.btpo_next = 0 or i.itemoffset > 1) and (t::text::point)[0]::bigint = any($3::bigint[])`,
        [index.oid, index.quoted, blocks],
      );
      return Number(entries);
    } catch (error) {
      // What is wrong with the index itself, amcheck says.
      judge(`the zero pages of ${label}`, error, host);
      return undefined;
    } finally {
      await client.query('rollback').catch(() => undefined);
    }
  });
}
