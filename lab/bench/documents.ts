import type { Lab } from '../lab.js';

/** The database that is measured: about 600 MB. */

export const orders = 300_000;
const documents = 350_000;

/** Most of the bytes of a shop's database are in few tables, and compress to a third or a quarter. */
export async function addDocuments(to: Lab): Promise<void> {
  await to.primary.asApp(`
    CREATE TABLE documents (id bigserial PRIMARY KEY, body text NOT NULL);
    INSERT INTO documents (body)
      SELECT repeat((SELECT string_agg(md5(n::text || '-' || part::text), '') FROM generate_series(1, 20) part), 2)
      FROM generate_series(1, ${documents}) n`);
  await to.primary.sql('VACUUM ANALYZE documents');
}

/** Makes it as large as so many such databases, and returns. */
export async function multiplyDocuments(to: Lab, times: number): Promise<void> {
  for (let time = 1; time < times; time += 1)
    await to.primary.asApp(`INSERT INTO documents (body) SELECT body FROM documents WHERE id <= ${documents}`);
  await to.primary.sql('VACUUM ANALYZE documents');
}

export async function databaseMegabytes(of: Lab): Promise<number> {
  const [size] = await of.primary.sql<{ bytes: string }>(
    'SELECT sum(pg_database_size(oid))::text AS bytes FROM pg_database',
  );
  return Math.round(Number(size!.bytes) / 1e6);
}
