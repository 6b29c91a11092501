import { rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Assessment, assess } from '../../../activities/recovery/assess.js';
import { claim } from '../../../activities/postgres/claim.js';
import { takeKnownRows } from '../../../activities/postgres/known-rows.js';
import { repair } from '../../../activities/postgres/repair.js';
import { damageIndex, overwritePages, zeroPages } from '../../../lab/damage.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { pageSize } from '../../../lab/page.js';
import { until } from '../../../lab/wait.js';
import { type Host, hostOf } from '../../helpers/host.js';

/**
 * The language of a server without any generated locale: gettext looks at LANGUAGE wherever the locale is not plain C.
 */
process.env['LANGUAGE'] = 'de';

/**
 * What is damage, and what is not, is told by SQLSTATE and OIDs: the server of this lab speaks German, and its names
 * hold dots and quotes.
 */
describe('assessing', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let round = 0;
  const look = (): Promise<Assessment> =>
    assess(host.context).execute({ database: 'main', incident: 'here', round: (round += 1) });
  const rebuild = ({ damagedIndexes }: Pick<Assessment, 'damagedIndexes'>) =>
    repair(host.context).execute({ database: 'main', incident: 'here', damagedIndexes, vacuumFull: false });

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 1000 });
    await lab.primary.sql(`ALTER SYSTEM SET lc_messages = 'C.UTF-8'`);
    await lab.primary.sql(`SELECT pg_reload_conf()`);
    host = await hostOf(lab);
    await claim(host.cluster, 'here');
    await takeKnownRows(host.cluster);
  }, 900_000);
  afterAll(() => lab.stop());

  test('the server speaks German', async () => {
    await expect(lab.primary.sql('SELECT * FROM nothing')).rejects.toThrow(/Relation »nothing« existiert nicht/);
  });

  test('a sound database is healthy: every file, every relation', async () => {
    expect(await look()).toMatchObject({ classification: 'healthy', findings: [], damagedIndexes: [], notChecked: [] });
  });

  describe('names with dots and quotes', () => {
    const awkward = (sql: string) => lab.primary.sql(sql, [], 'a.b');
    beforeAll(async () => {
      await lab.primary.sql('CREATE DATABASE "a.b"', [], 'postgres');
      await awkward('CREATE SCHEMA "s.x"');
      await awkward('CREATE TABLE "s.x"."Weird ""t"".able" (id int PRIMARY KEY)');
      await awkward('INSERT INTO "s.x"."Weird ""t"".able" SELECT generate_series(1, 1000)');
    });
    afterAll(() => lab.primary.sql('DROP DATABASE "a.b" WITH (FORCE)', [], 'postgres'));

    test('the index is found, rebuilt and counted; done again, it is rebuilt again', async () => {
      await damageIndex(
        { ...lab.primary, sql: (text, values) => lab.primary.sql(text, values, 'a.b') },
        '"s.x"."Weird ""t"".able_pkey"',
      );
      const found = await look();
      expect(found.classification).toBe('repairable');
      expect(found.damagedIndexes).toEqual([
        {
          database: { oid: expect.any(Number), name: 'a.b' },
          oid: expect.any(Number),
          name: '"s.x"."Weird ""t"".able_pkey"',
        },
      ]);
      expect(found.summary).toMatch(/^repairable: index "s\.x"\."Weird ""t""\.able_pkey" in database a\.b: /);
      expect(await rebuild(found)).toEqual({ summary: '1 index rebuilt' });
      expect(await rebuild(found)).toEqual({ summary: '1 index rebuilt' });
      expect(await look()).toMatchObject({ classification: 'healthy' });
    });

    test('an index that is not there any more is not counted, and fails the repair', async () => {
      const database = { oid: 1, name: 'a.b' };
      await expect(
        rebuild({ damagedIndexes: [{ database, oid: 99_999_999, name: '"s.x".gone' }] }),
      ).rejects.toMatchObject({
        type: 'WrongTarget',
        message: '0 indexes rebuilt; not there any more: "s.x".gone in database a.b',
      });
    });
  });

  test('a dropped table is data that is wrong, in whatever language the server says that it does not exist', async () => {
    await lab.primary.sql('ALTER TABLE payments RENAME TO payments_dropped');
    expect(await look()).toMatchObject({
      classification: 'logically wrong',
      findings: [
        'payments: relation "public.payments" does not exist',
        'query 2 of the plan: relation "payments" does not exist',
      ],
    });
    await lab.primary.sql('ALTER TABLE payments_dropped RENAME TO payments');
  });

  describe('every kind of file', () => {
    const kinds = ['gin', 'gist', 'brin', 'hash', 'spgist'] as const;
    const column = { gin: 'words', gist: 'span', brin: 'id', hash: 'id', spgist: 'span' };
    beforeAll(async () => {
      await lab.primary.sql(
        `CREATE TABLE kinds AS SELECT n AS id, ARRAY[n % 100, n % 77] AS words, int4range(n, n + 10) AS span FROM generate_series(1, 3000) n`,
      );
      for (const kind of kinds)
        await lab.primary.sql(`CREATE INDEX kinds_${kind} ON kinds USING ${kind} (${column[kind]})`);
      await lab.primary.sql('CREATE SEQUENCE counted');
      await lab.primary.sql('ANALYZE kinds');
    });
    afterAll(() => lab.primary.sql('DROP TABLE IF EXISTS kinds'));

    test.each(kinds)('garbage in a %s index is found, and rebuilt', async (kind) => {
      await overwritePages(lab.primary, `kinds_${kind}`, [0]);
      const found = await look();
      expect(found).toMatchObject({ classification: 'repairable', damagedIndexes: [{ name: `public.kinds_${kind}` }] });
      expect(found.findings[0]).toMatch(/the checksum does not match in block 0/);
      await rebuild(found);
      const after = await look();
      expect(after.classification).toBe('healthy');
      expect(after.notChecked, 'what no check knows the inside of is said').toEqual([
        expect.stringMatching(
          /^no check knows the inside of .*public\.kinds_gist \(gist\).*: only their pages were checked$/,
        ),
      ]);
    });

    test('garbage in a sequence, a table that was cut off, a file that is missing: a restore repairs them', async () => {
      await overwritePages(lab.primary, 'counted', [0]);
      expect(await look()).toMatchObject({
        classification: 'not repairable',
        findings: [expect.stringMatching(/^sequence public\.counted: /)],
      });
      await lab.primary.sql('DROP SEQUENCE counted');

      await lab.primary.sql('CREATE TABLE cut (id int PRIMARY KEY, line text)');
      await lab.primary.sql(`INSERT INTO cut SELECT n, repeat('x', 200) FROM generate_series(1, 1000) n`);
      const file = await truncate(lab, 'cut', 10);
      // Never analyzed: the catalog does not know how long it was, but its index does.
      const cut = await look();
      expect(cut, cut.summary).toMatchObject({
        classification: 'not repairable',
        findings: [expect.stringMatching(/^public\.cut: /)],
      });
      rmSync(file);
      await lab.primary.restart();
      expect((await look()).findings.join()).toMatch(/public\.cut: its file base\/\d+\/\d+ is missing/);
      await lab.primary.sql('DROP TABLE cut');
    });

    test('zero pages inside of a table: a person is asked, and is not told that all was sound; where the index knows better, it is damage', async () => {
      await lab.primary.sql('CREATE TABLE journal (line text)');
      await lab.primary.sql(`INSERT INTO journal SELECT repeat('x', 200) FROM generate_series(1, 2000)`);
      await zeroPages(lab.primary, 'journal', [3, 4]);
      expect(await look()).toMatchObject({
        classification: 'logically wrong',
        findings: [expect.stringMatching(/^public\.journal: base\/\d+\/\d+: 2 zero pages/)],
      });
      await lab.primary.sql('DROP TABLE journal');
      await lab.primary.sql('CREATE TABLE journal (id int PRIMARY KEY, line text)');
      await lab.primary.sql(`INSERT INTO journal SELECT n, repeat('x', 200) FROM generate_series(1, 2000) n`);
      await zeroPages(lab.primary, 'journal', [3, 4]);
      const found = await look();
      expect(found, found.summary).toMatchObject({
        classification: 'not repairable',
        findings: [expect.stringMatching(/^public\.journal: /)],
      });
      await lab.primary.sql('DROP TABLE journal');
    });
  });

  test('a database that lets nobody in, or that a broken-off DROP has left: passed over, and said', async () => {
    for (const name of ['shut', 'invalid']) await lab.primary.sql(`CREATE DATABASE ${name}`, [], 'postgres');
    await lab.primary.sql(`ALTER DATABASE shut ALLOW_CONNECTIONS false`, [], 'postgres');
    await lab.primary.sql(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'invalid'`, [], 'postgres');
    const found = await look();
    expect(found).toMatchObject({ classification: 'healthy' });
    expect(found.notChecked).toEqual([
      'database invalid was not looked into: an interrupted DROP DATABASE has left it: drop it when it suits',
      'database shut was not looked into: it allows no connections (datallowconn)',
    ]);
    for (const name of ['shut', 'invalid']) await lab.primary.sql(`DROP DATABASE ${name}`, [], 'postgres');
  });

  describe('what keeps us from looking is no damage', () => {
    test('a lock that nobody gives up: the table is not checked, and it is said who holds it', async () => {
      const holder = new pg.Client({ ...lab.primary.appConnection(), host: lab.primary.socketDirectory });
      await holder.connect();
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE products IN ACCESS EXCLUSIVE MODE');
      const found = await look();
      await holder.end();
      expect(found, found.summary).toMatchObject({ classification: 'healthy' });
      expect(found.notChecked).toContainEqual(expect.stringMatching(/^public\.products: it is locked by session \d+/));
    });

    test('a statement_timeout, a read-only default and an event trigger of the server do not reach a check', async () => {
      await lab.primary.sql(
        `CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$`,
      );
      await lab.primary.sql('DROP EXTENSION IF EXISTS amcheck');
      await lab.primary.sql('CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()');
      await lab.primary.sql(`ALTER DATABASE shop SET statement_timeout = '50ms'`, [], 'postgres');
      await lab.primary.sql(`ALTER DATABASE shop SET default_transaction_read_only = on`, [], 'postgres');
      const found = await look();
      await lab.primary.sql('ALTER DATABASE shop RESET ALL', [], 'postgres');
      await lab.primary.sql('DROP EVENT TRIGGER no_ddl');
      expect(found, found.summary).toMatchObject({ classification: 'healthy', notChecked: [] });
    });

    test('a server that ends while it is looked at: the step fails and is tried again, nothing is said of the data', async () => {
      const ending = look();
      const caught = ending.catch((error: unknown) => error);
      await until('a check runs', async () => {
        const { length } = await lab.primary.sql(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%bt_index_parent_check%' AND pid <> pg_backend_pid()`,
        );
        return length > 0;
      });
      expect(await caught).toMatchObject({ type: 'CannotLook', nonRetryable: false });
    });
  });
});

/** Cuts a table's file off after so many pages, cleanly stopped. Returns the path. */
async function truncate(lab: Lab, table: string, pages: number): Promise<string> {
  const [row] = await lab.primary.sql<{ path: string }>('SELECT pg_relation_filepath($1::regclass) AS path', [table]);
  await lab.primary.stop();
  const path = join(lab.primary.dataDirectory, row!.path);
  truncateSync(path, pages * pageSize);
  await lab.primary.start();
  return path;
}
