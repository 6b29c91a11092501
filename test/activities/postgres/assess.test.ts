import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Assessment, assess } from '../../../activities/postgres/assess.js';
import { claim } from '../../../activities/postgres/claim.js';
import { takeKnownRows } from '../../../activities/postgres/known-rows.js';
import { repair } from '../../../activities/postgres/repair.js';
import { damageIndex } from '../../../lab/damage.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { type Host, hostOf } from '../../helpers/host.js';

/** The language of a server without any generated locale: gettext looks at LANGUAGE wherever the locale is not plain C. */
process.env['LANGUAGE'] = 'de';

/** What is damage, and what is not, is told by SQLSTATE and OIDs: the server of this lab speaks German, and its names hold dots and quotes. */
describe('assessing', { timeout: 300_000 }, () => {
  let lab: Lab;
  let host: Host;
  let round = 0;
  const look = (): Promise<Assessment> => assess(host.context).execute({ database: 'main', incident: 'here', round: (round += 1) });
  const rebuild = ({ damagedIndexes }: Pick<Assessment, 'damagedIndexes'>) =>
    repair(host.context).execute({ database: 'main', incident: 'here', damagedIndexes, vacuumFull: false });

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 1000 });
    await lab.primary.sql(`ALTER SYSTEM SET lc_messages = 'C.UTF-8'`);
    await lab.primary.sql(`SELECT pg_reload_conf()`);
    host = await hostOf(lab);
    await claim(host.cluster, 'here');
    await takeKnownRows(host.cluster);
  }, 300_000);
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
      await damageIndex({ ...lab.primary, sql: (text, values) => lab.primary.sql(text, values, 'a.b') }, '"s.x"."Weird ""t"".able_pkey"');
      const found = await look();
      expect(found.classification).toBe('repairable');
      expect(found.damagedIndexes).toEqual([
        { database: { oid: expect.any(Number), name: 'a.b' }, oid: expect.any(Number), name: '"s.x"."Weird ""t"".able_pkey"' },
      ]);
      expect(found.summary).toMatch(/^repairable: index "s\.x"\."Weird ""t""\.able_pkey" in database a\.b: /);
      expect(await rebuild(found)).toEqual({ summary: '1 index rebuilt' });
      expect(await rebuild(found)).toEqual({ summary: '1 index rebuilt' });
      expect(await look()).toMatchObject({ classification: 'healthy' });
    });

    test('an index that is not there any more is not counted, and fails the repair', async () => {
      const database = { oid: 1, name: 'a.b' };
      await expect(rebuild({ damagedIndexes: [{ database, oid: 99_999_999, name: '"s.x".gone' }] })).rejects.toMatchObject({
        type: 'WrongTarget',
        message: '0 indexes rebuilt; not there any more: "s.x".gone in database a.b',
      });
    });
  });

  test('a dropped table is data that is wrong, in whatever language the server says that it does not exist', async () => {
    await lab.primary.sql('ALTER TABLE payments RENAME TO payments_dropped');
    expect(await look()).toMatchObject({
      classification: 'logically wrong',
      findings: ['payments: relation "public.payments" does not exist', 'query 2 of the plan: relation "payments" does not exist'],
    });
    await lab.primary.sql('ALTER TABLE payments_dropped RENAME TO payments');
  });
});
