import pg from 'pg';
import type { Client } from './connect.js';

/**
 * A transaction that was prepared for a commit in two phases: it survives every restart and restore, and keeps its
 * locks until it is ended.
 */
export interface Prepared {
  gid: string;
  database: string;
  owner: string;
  /** ISO 8601. */
  preparedAt: string;
}

/** Those of all databases, the oldest first. */
export async function preparedTransactions(client: Client): Promise<Prepared[]> {
  const { rows } = await client.query<Omit<Prepared, 'preparedAt'> & { at: Date }>(
    `select gid, database, owner, prepared as at from pg_catalog.pg_prepared_xacts order by prepared, gid`,
  );
  return rows.map(({ at, ...row }) => ({ ...row, preparedAt: at.toISOString() }));
}

/** What is said of one, with the exact commands that end it. */
export function describePrepared({ gid, database, owner, preparedAt }: Prepared): string {
  const quoted = pg.escapeLiteral(gid);
  return (
    `prepared transaction ${quoted} of ${owner} in database ${database}, since ${preparedAt}, keeps its locks until somebody ends it: ` +
    `in ${database}, COMMIT PREPARED ${quoted}; or ROLLBACK PREPARED ${quoted};`
  );
}
