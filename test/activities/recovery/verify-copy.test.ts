import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { discardCopy } from '../../../activities/backups/copies.js';
import { hostFacts } from '../../../activities/doctor/host-facts.js';
import { checkRequest } from '../../../activities/recovery/check-request.js';
import { takeKnownRows } from '../../../activities/postgres/known-rows.js';
import { verifyRestored } from '../../../activities/recovery/verify-restored.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { type Host, hostOf } from '../../helpers/host.js';

/** What is in a copy and is no damage of it: it is told before anybody approves, and keeps no restore from going on. */
describe('what a person must know of a sound copy', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  const verify = (incident: string) =>
    verifyRestored(host.context).execute({
      database: 'main',
      incident,
      target: 'latest',
      declaredAt: new Date().toISOString(),
    });
  const discard = (incident: string) => discardCopy(host.context).execute({ database: 'main', incident });
  const gid = `it's "payment" 17`;

  beforeAll(async () => {
    lab = await createLab({
      temporal: 'none',
      service: false,
      fast: true,
      rows: 500,
      plan: (plan) => Object.assign(plan.databases['main']!.verify!.rows!, { sessions: {} }),
    });
    const { primary } = lab;
    host = await hostOf(lab);
    await primary.sql('ALTER SYSTEM SET max_prepared_transactions = 5');
    await primary.restart();
    await primary.sql('CREATE UNLOGGED TABLE sessions AS SELECT generate_series(1, 1000) AS id');
    for (const name of ['shut', 'invalid']) await primary.sql(`CREATE DATABASE ${name}`, [], 'postgres');
    await primary.sql('ALTER DATABASE shut ALLOW_CONNECTIONS false', [], 'postgres');
    await primary.sql(`UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'invalid'`, [], 'postgres');
    await takeKnownRows(host.cluster);
    await host.backup();
    await primary.sql(
      `BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION '${gid.replace("'", "''")}'`,
    );
    await host.beat();
    await host.restore('known');
  }, 900_000);
  afterAll(() => lab.stop());

  test('a database that lets nobody in, or that a broken-off DROP has left, is passed over; a prepared transaction holds nothing up', async () => {
    const verified = await verify('known');
    expect(verified.summary).toMatch(/^sound: /);
    expect(verified.warnings).toEqual([
      'database invalid was not looked into: an interrupted DROP DATABASE has left it: drop it when it suits',
      'database shut was not looked into: it allows no connections (datallowconn)',
      'unlogged, and so empty after any restore: public.sessions (1000 rows were last known)',
    ]);
    expect(verified.prepared).toMatchObject([{ gid, database: 'shop', owner: 'postgres' }]);
    expect(verified.prepared?.[0]?.says, 'with the commands that end it').toMatch(
      /^prepared transaction 'it''s "payment" 17' of postgres in database shop, since 20\S+Z, keeps its locks until somebody ends it: in shop, COMMIT PREPARED 'it''s "payment" 17'; or ROLLBACK PREPARED 'it''s "payment" 17';$/,
    );
    expect(verified.doubts).toContain(
      `not checked: public.products: it is locked by prepared transaction 'it''s "payment" 17' (database shop)`,
    );
    expect(verified.doubts.filter((doubt) => doubt.startsWith('prepared transaction'))).toEqual([]);
    expect(verified.doubts).toContain('sessions has 0 rows, 1000 were last known');
    await discard('known');
  });

  test('a copy whose server this host cannot start: the backup is not blamed, and nothing is noted against it', async () => {
    await lab.primary.sql(`ALTER SYSTEM SET shared_preload_libraries = 'nowhere'`);
    await host.backup();
    await lab.primary.sql('ALTER SYSTEM RESET shared_preload_libraries');
    await expect(host.restore('unstartable')).rejects.toMatchObject({
      type: 'CannotLook',
      nonRetryable: false,
      message: expect.stringMatching(/could not be recovered on db1: .*nowhere/),
    });
    await discard('unstartable');
  });

  test('the check of a request and doctor list the prepared transactions before anything is stopped', async () => {
    const checked = await checkRequest(host.context).execute({ database: 'main', incident: 'another' });
    expect(checked.warnings.filter((line) => line.startsWith('prepared transaction'))).toHaveLength(1);
    const { checks } = await hostFacts(host.context).execute({});
    expect(checks).toContainEqual(
      expect.objectContaining({
        what: 'main primary: prepared transactions',
        // Forgotten is what is ten minutes old.
        says: '1, of a moment ago',
      }),
    );
  });
});
