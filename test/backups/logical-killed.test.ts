import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logical } from '../../activities/backups/logical/provider.js';
import { until } from '../../lab/wait.js';
import { createDumps, type Dumps, keptAt } from '../helpers/dumps.js';
import { expectDeaths } from '../faults/walk.js';
import { once, walk } from '../helpers/killed.js';
import type { BackupResult, RestoreResult, TestRestoreResult } from '../../vocabulary/backup-work.js';

/**
 * Killed at every point, and in the middle of the data: the next attempt completes, and nothing half-done is ever
 * listed.
 */

let dumps: Dumps;
beforeAll(async () => {
  dumps = await createDumps();
}, 900_000);
afterAll(() => dumps.lab.stop());

const databases = async () =>
  (
    await dumps.lab.primary.sql<{ datname: string; open: boolean }>(
      'select datname, datallowconn as open from pg_database order by 1',
      [],
      'postgres',
    )
  ).filter(({ datname }) => !/^(template|postgres)/.test(datname));
const orders = async (database = 'shop') =>
  (await dumps.lab.primary.sql<{ n: number }>('select count(*)::int as n from orders', [], database))[0]!.n;
const demandSound = async (point: string) => {
  const { damaged, failed } = await logical.verify(dumps.context).execute({ component: 'main' });
  expect({ damaged, failed }, point).toEqual({ damaged: [], failed: [] });
};
/** Folders and programs of a restore; the records of them would be here too. */
const left = () => readdirSync(dumps.context.state).filter((name) => name.startsWith('lifeboat-'));

describe('killed at every point', { timeout: 900_000 }, () => {
  test('a dump', async () => {
    const asked = { component: 'main', type: 'logical', run: 'walked' };
    // The scratch server that its schema is loaded into is that of a test restore, which is walked below: here it is
    // killed while it is loaded.
    const programs = ['initdb main-schema-initdb', 'pg_ctl main-schema-start'];
    const without = [
      ...[...programs, 'pg_restore main-schema-load'].flatMap((program) => [`before ${program}`, `after ${program}`]),
      ...programs.map((program) => `during ${program}`),
      ...['starting', 'removing'].flatMap((what) => [
        `before ${what} the scratch server`,
        `after ${what} the scratch server`,
      ]),
    ].map((point) => `takeBackup: ${point}`);
    const { result, points } = await walk(dumps.lab, { activity: 'takeBackup', input: asked }, 'take', {
      between: demandSound,
      without,
    });
    expectDeaths(
      { visited: () => points },
      [
        ...[
          'before dumping',
          'midway, dumping',
          'after dumping',
          'midway, reading back',
          'during pg_restore main-schema-load',
        ],
        ...['before the record', 'after the record'],
      ].map((point) => `takeBackup: ${point}`),
    );
    const { id, failed } = result as BackupResult;
    expect(failed).toEqual([]);
    const { backups } = await logical.list(dumps.context, 'main');
    expect(backups.map((record) => `${record.id} ${record.location}`)).toEqual([`${id} onsite`, `${id} offsite`]);
    for (const location of ['onsite', 'offsite'])
      expect(await keptAt(dumps.context, location), 'and nothing beside it').toEqual(
        [`${id}.meta.json`, `${id}/database.dump.zst.age`, `${id}/globals.sql.zst.age`].sort(),
      );
  });

  test('a restore into a new database: production stays', async () => {
    const { id } = await dumps.take();
    const input = { kind: 'logical', component: 'main', id, into: 'copy', run: 'walked into' };
    const { result, points } = await walk(dumps.lab, { activity: 'restoreBackup', input }, 'into', {
      between: async (point) => expect(await orders(), point).toBe(1000),
    });
    expectDeaths(
      { visited: () => points },
      [
        ...['before fetching', 'after fetching', 'before creating a database', 'after creating a database'],
        ...[
          'during pg_restore main-logical-restore',
          'before naming the restored database',
          'after naming the restored database',
        ],
      ].map((point) => `restoreBackup: ${point}`),
    );
    expect((result as RestoreResult).into).toBe('copy');
    expect((await databases()).map(({ datname }) => datname)).toEqual(['copy', 'shop']);
    expect(await orders('copy')).toBe(1000);
    expect(left()).toEqual([]);
    await dumps.lab.primary.sql('drop database copy', [], 'postgres');
  });

  test('a restore in place of the old database: there is always one of that name, the old or the new', async () => {
    const { id } = await dumps.take();
    await dumps.lab.primary.sql('delete from payments');
    await dumps.lab.primary.sql('delete from orders where id > 600');
    const input = { kind: 'logical', component: 'main', id, dropExisting: true, run: 'walked replace' };
    const { result, points } = await walk(dumps.lab, { activity: 'restoreBackup', input }, 'replace', {
      between: async (point) => {
        const shop = (await databases()).find(({ datname }) => datname === 'shop');
        expect(shop, point).toBeDefined();
        if (shop!.open) expect([600, 1000], point).toContain(await orders());
      },
    });
    expectDeaths({ visited: () => points }, [
      'restoreBackup: before the databases change places',
      'restoreBackup: after the databases changed places',
    ]);
    const { aside } = result as RestoreResult;
    expect(await databases()).toEqual([
      { datname: 'shop', open: true },
      { datname: aside, open: true },
    ]);
    expect([await orders(), await orders(aside)]).toEqual([1000, 600]);
    expect(left()).toEqual([]);
    await dumps.lab.primary.sql(`drop database "${aside!}"`, [], 'postgres');
  });

  test('a test restore: its server and its files are gone, and it is noted once it succeeded', async () => {
    const { id } = await dumps.take();
    const input = { kind: 'logical', component: 'main', id, location: 'offsite', run: 'walked test' };
    // Before and after a program, what it works in is there or not, as it is between others: it is killed while each of
    // them runs.
    const programs = ['initdb main-test-initdb', 'pg_ctl main-test-start', 'pg_restore main-test-load', 'amcheck'];
    const without = programs.flatMap((program) => [`testRestore: before ${program}`, `testRestore: after ${program}`]);
    const { result, points } = await walk(dumps.lab, { activity: 'testRestore', input }, 'test', { without });
    expectDeaths({ visited: () => points }, [
      'testRestore: before starting the scratch server',
      'testRestore: after starting the scratch server',
    ]);
    expect((result as TestRestoreResult).doubts).toEqual([]);
    expect(left()).toEqual([]);
    const { backups } = await logical.list(dumps.context, 'main');
    expect(backups.filter((record) => record.id === id).map(({ restored }) => restored?.host)).toEqual([
      undefined,
      'db1',
    ]);
  });
});

describe('killed in the middle of 200 MB', { timeout: 900_000 }, () => {
  beforeAll(async () => {
    await dumps.lab.primary.sql(
      'create table bulk as select g as id, gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text as t from generate_series(1, 1400000) g',
    );
  });

  test('of a dump, and of a restore, and of a restore whose programs live on: the next attempt completes', async () => {
    const { lab, context } = dumps;
    const run = `middle ${randomBytes(4).toString('hex')}`;
    const uploading = () =>
      existsSync(join(lab.locations['onsite']!, `lifeboat/${context.plan.system}`)) &&
      busy(`application_name = 'pg_dump'`);
    const taking = { activity: 'takeBackup' as const, input: { component: 'main', type: 'logical', run } };
    await killedWhile(taking, uploading);
    await demandSound('after the kill in the middle of the dump');
    await until('pg_dump has noticed', async () => !(await busy(`application_name = 'pg_dump'`)));
    const taken = JSON.parse((await once(lab, taking)).stdout) as BackupResult;
    expect(taken).toMatchObject({ locations: ['onsite', 'offsite'], failed: [] });
    await demandSound('after the second attempt');

    const restoring = {
      activity: 'restoreBackup' as const,
      input: { kind: 'logical', component: 'main', id: taken.id, into: 'bulk copy', run },
    };
    await killedWhile(restoring, () =>
      busy(`application_name like 'pg_restore%' and datname like 'lifeboat_restore_%'`),
    );
    expect((await databases()).map(({ datname }) => datname)).not.toContain('bulk copy');
    const restored = await once(lab, restoring);
    expect(restored.how, restored.stderr).toBe(0);
    expect((await databases()).map(({ datname }) => datname)).toEqual(['bulk copy', 'shop']);
    const [rows] = await lab.primary.sql<{ n: number }>('select count(*)::int as n from bulk', [], 'bulk copy');
    expect(rows!.n).toBe(1_400_000);
  });

  const busy = async (where: string): Promise<boolean> =>
    (await dumps.lab.primary.sql(`select 1 from pg_stat_activity where ${where}`, [], 'postgres')).length > 0;

  /** Kills the process alone, as the system does when memory runs out: what it started lives on. */
  async function killedWhile(
    asked: Parameters<typeof once>[1],
    condition: () => Promise<boolean> | boolean,
  ): Promise<void> {
    let pid = 0;
    const ended = once(dumps.lab, asked, { onStart: (own) => (pid = own) });
    await until('it is in the middle', condition, 120, 5);
    await pause(50);
    process.kill(pid, 'SIGKILL');
    expect((await ended).how).toBe('SIGKILL');
  }
});
