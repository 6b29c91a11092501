import { checkpoint } from '../checkpoint.js';
import type { Client } from './connect.js';
import { one } from './connect.js';
import pg from 'pg';
import { withTheirPath } from './session.js';

/**
 * A copy restored under another C library sorts text differently, and its indexes are wrong without a damaged page.
 * Where the versions differ: REINDEX first, then REFRESH COLLATION VERSION, in this order, since the refresh only
 * silences the warning. Returns a sentence when there was something to do. PostgreSQL 15 and later record the version.
 */
export async function mendCollation(client: Client, database: string): Promise<string | undefined> {
  const version = Number(await one<string>(client, `select current_setting('server_version_num')`));
  if (version < 150_000) return undefined;
  // Where the library here does not say its version (it is null), there is nothing that a refresh could write down.
  const versions = await client.query<{ differs: boolean; known: boolean }>(
    `select datcollversion is not null and datcollversion is distinct from pg_database_collation_actual_version(oid) as differs,
            pg_database_collation_actual_version(oid) is not null as known from pg_database where datname = current_database()`,
  );
  const { differs, known } = versions.rows[0]!;
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.collname) as name from pg_collation c join pg_namespace n on n.oid = c.collnamespace
     where c.collversion is not null and c.collversion is distinct from pg_collation_actual_version(c.oid)`,
  );
  if (!differs && rows.length === 0) return undefined;
  const name = pg.escapeIdentifier(database);
  await checkpoint('before mending the collation');
  await withTheirPath(client, () => client.query(`reindex database ${name}`));
  if (differs && known) await client.query(`alter database ${name} refresh collation version`);
  for (const row of rows) await client.query(`alter collation ${row.name} refresh version`);
  await checkpoint('after mending the collation');
  return `collation versions of ${database} differed from this host: all its indexes were rebuilt, then the versions refreshed`;
}
