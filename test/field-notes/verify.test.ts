import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { discardCopy } from '../../activities/backups/copies.js';
import { evidenceDirectory } from '../../activities/postgres/evidence.js';
import { postmasterPid, stopServer } from '../../activities/postgres/server.js';
import { verifyRestored } from '../../activities/recovery/verify-restored.js';
import { takeKnownRows } from '../../activities/postgres/known-rows.js';
import { damageIndex, zeroPages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { pageSize } from '../../lab/page.js';
import { type Host, hostOf } from '../helpers/host.js';

/** A restored copy is believed only when it was looked at: each test restores one that is not what it should be. */
describe('verifying a restored copy', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  const verify = (incident: string) =>
    verifyRestored(host.context).execute({
      database: 'main',
      incident,
      target: 'latest',
      declaredAt: new Date().toISOString(),
    });
  /** Queries to a copy's other database. */
  function copyOf(database: string) {
    return async <T extends pg.QueryResultRow>(incident: string, sql: string): Promise<T[]> => {
      const client = new pg.Client({
        host: host.scratch(incident).socketDirectory,
        port: host.cluster.port,
        user: 'postgres',
        database,
      });
      await client.connect();
      return client
        .query<T>(sql)
        .then(({ rows }) => rows)
        .finally(() => client.end());
    };
  }
  const discard = (incident: string) => discardCopy(host.context).execute({ database: 'main', incident });

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 2000 });
    host = await hostOf(lab);
    await host.backup();
    await host.beat();
    await takeKnownRows(host.cluster);
  }, 900_000);
  afterAll(() => lab.stop());

  describe('procedure "verify"', () => {
    test('a sound copy passes every check, is left cleanly stopped, and the findings are kept', async () => {
      await host.restore('sound');
      const verified = await verify('sound');
      expect(verified.summary).toMatch(/^sound: /);
      expect(verified.checks).toEqual([
        'amcheck: heap and indexes of every database',
        '4 row counts, 2 queries, the catalog',
        'pg_checksums',
        expect.stringContaining('no zero pages'),
        "a start with production's own configuration",
      ]);
      expect(verified.rows).toContainEqual({ table: 'orders', expected: 2000, found: 2000, ok: true });
      expect(verified.warnings).toEqual([]);
      expect(verified.files[0]).toMatchObject({
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        bytes: expect.any(Number),
      });
      const { directory } = host.scratch('sound');
      expect(await postmasterPid(directory)).toBeUndefined();
    });

    test('done again, it says the same', async () => {
      expect((await verify('sound')).summary).toMatch(/^sound: /);
      await discard('sound');
    });

    test('a copy of another incident is not taken for ours', async () => {
      await expect(verify('nobody')).rejects.toMatchObject({
        type: 'WrongTarget',
        message: expect.stringContaining('no restored copy of incident nobody'),
      });
    });

    test('rows that are missing, although every page is sound: a doubt, for the person who approves', async () => {
      await host.restore('rows');
      await host.askCopy('rows', 'DELETE FROM customers WHERE id > 3 AND id NOT IN (SELECT customer_id FROM orders)');
      await host.askCopy('rows', 'TRUNCATE payments');
      const verified = await verify('rows');
      expect(verified.doubts).toContain('payments has 0 rows, 2000 were last known');
      expect(verified.rows).toContainEqual({ table: 'payments', expected: 2000, found: 0, ok: false });
      await discard('rows');
    });

    test("the plan's own query", async () => {
      await host.restore('query');
      await host.askCopy('query', 'UPDATE orders SET total = -1 WHERE id = 7');
      expect((await verify('query')).doubts).toContain('query 1 of the plan gives 1, not 0');
      await discard('query');
    });

    test('a page that was damaged after the restore', async () => {
      await host.restore('page');
      const { directory } = host.scratch('page');
      const [file] = await host.askCopy<{ path: string }>('page', `SELECT pg_relation_filepath('products') AS path`);
      await stopServer(host.cluster, directory);
      const handle = openSync(join(directory, file!.path), 'r+');
      writeSync(handle, Buffer.alloc(100, 0xa5), 0, 100, 4000);
      closeSync(handle);
      await expect(verify('page')).rejects.toMatchObject({
        type: 'VerificationFailed',
        message: expect.stringMatching(/products/),
      });
      await discard('page');
    });
  });

  describe('field note 7: restored under another C library', () => {
    const versions = `SELECT datcollversion AS stored, pg_database_collation_actual_version(oid) AS actual FROM pg_database WHERE datname = 'icu'`;
    const inCopy = copyOf('icu');
    beforeAll(async () => {
      await lab.primary.sql(
        `CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'`,
        [],
        'postgres',
      );
      await lab.primary.sql(`CREATE TABLE names (name text PRIMARY KEY)`, [], 'icu');
      await lab.primary.sql(`INSERT INTO names SELECT md5(n::text) FROM generate_series(1, 500) n`, [], 'icu');
      await lab.primary.sql(`UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'icu'`, [], 'icu');
      await host.backup();
    });
    afterAll(() => lab.primary.sql('DROP DATABASE icu', [], 'postgres'));

    test('the indexes of every database are rebuilt first, then the versions refreshed; done once', async () => {
      await host.restore('collation');
      const filenode = `SELECT pg_relation_filenode('names_pkey')::int AS filenode`;
      const [before] = await inCopy<{ filenode: number }>('collation', filenode);
      const [stale] = await inCopy<{ stored: string; actual: string }>('collation', versions);
      expect(stale!.stored).toBe('1.0');
      const verified = await verify('collation');
      expect(verified.warnings).toEqual([
        'collation versions of icu differed from this host: all its indexes were rebuilt, then the versions refreshed',
      ]);
      expect((await verify('collation')).warnings, 'verified again, nothing is left to do').toEqual([]);
      expect((await lab.primary.sql<{ filenode: number }>(filenode, [], 'icu'))[0], 'production is as it was').toEqual(
        before,
      );
      await discard('collation');
    });
  });

  describe('field note 6: a restore that "succeeds" with zero pages', () => {
    beforeAll(async () => {
      // A sequential scan sees an empty page; amcheck and checksums see a valid one.
      await lab.primary.sql('CREATE TABLE journal (line text)');
      await lab.primary.sql(`INSERT INTO journal SELECT repeat('x', 200) FROM generate_series(1, 2000)`);
      await zeroPages(lab.primary, 'journal', [3, 4]);
      await host.beat();
      await host.backup();
    });

    test('pgBackRest, pg_amcheck and pg_checksums find nothing: the copy is rejected all the same, with the file and the number of pages', async () => {
      const restored = await host.restore('zero');
      expect(restored.summary, 'the restore itself says nothing').toMatch(/recovered to/);
      const error = (await verify('zero').catch((thrown: unknown) => thrown)) as Error & {
        details: { findings: string[] }[];
      };
      expect(error).toMatchObject({ type: 'VerificationFailed' });
      expect(error.details[0]!.findings, 'the zero pages, and nothing else').toEqual([
        expect.stringMatching(/^base\/\d+\/\d+: 2 zero pages$/),
      ]);
      const evidence = evidenceDirectory(host.context, 'zero');
      expect(
        readdirSync(evidence)
          .map((name) => readFileSync(join(evidence, name), 'utf8'))
          .join(),
      ).toContain('2 zero pages');
      await discard('zero');
    });

    test('zero pages at the end are ordinary: a table is extended before it is written', async () => {
      await lab.primary.sql('DROP TABLE journal');
      const [file] = await lab.primary.sql<{ path: string; bytes: number }>(
        `SELECT pg_relation_filepath('products') AS path, pg_relation_size('products')::int AS bytes`,
      );
      await lab.primary.sql('CHECKPOINT');
      await host.backup();
      await host.restore('extended');
      const { directory } = host.scratch('extended');
      await stopServer(host.cluster, directory);
      const handle = openSync(join(directory, file!.path), 'r+');
      writeSync(handle, Buffer.alloc(2 * pageSize), 0, 2 * pageSize, file!.bytes);
      closeSync(handle);
      expect((await verify('extended')).summary).toMatch(/^sound: /);
      await discard('extended');
    });
  });

  test('an index in disorder under valid checksums is found in the copy', async () => {
    await damageIndex(lab.primary, 'payments_order');
    await host.beat();
    await host.backup();
    await host.restore('disorder');
    await expect(verify('disorder')).rejects.toMatchObject({ message: expect.stringContaining('payments_order') });
    await discard('disorder');
  });
});
