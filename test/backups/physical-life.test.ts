import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { physical } from '../../activities/backups/physical.js';
import { pgbackrest } from '../../activities/backups/engines/pgbackrest-config.js';
import { writeMark } from '../../activities/backups/restored-mark.js';
import { scratchOf } from '../../activities/postgres/scratch.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { until } from '../../lab/wait.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { type Host, hostOf, withPlan } from '../helpers/host.js';

/** What is kept and what goes, at one location; a day and an hour are as good as any: what counts is the order. */
describe('the life of physical backups', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let runs = 0;
  const keeping = (keep: { full: number; incremental?: number }) =>
    withPlan(host, (plan) => void (plan.databases['main']!.backups.physical!.keep = keep));
  const take = (type: 'full' | 'differential' | 'incremental', context = host.context) =>
    backupPhysical(context).execute({ component: 'main', type, run: `life-${(runs += 1)}` });
  const ids = async () => (await physical.list(host.context, 'main')).backups.map(({ id }) => id);
  const going = async (context: Host['context']) =>
    (await physical.expirable!(context, 'main', [])).map(({ id }) => id);
  const archived = async () =>
    (
      await pgbackrest(host.cluster, [
        '--repo=1',
        '--recurse',
        '--log-level-console=off',
        'repo-ls',
        `archive/${host.cluster.stanza}`,
      ])
    ).stdout;

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100 });
    host = await hostOf(lab);
  }, 900_000);
  afterAll(() => lab.stop());

  test('each full one goes with all that is based on it, in the end of the next backup; WAL goes with them', async () => {
    const first = await take('full');
    await take('incremental');
    const { wal } = (await physical.list(host.context, 'main')).backups.at(-1)!;
    expect(await archived()).toContain(wal!.start);
    const second = await take('full');
    const third = await take('full', keeping({ full: 2 }));
    expect(await ids()).toEqual([third.id, second.id]);
    expect(await archived()).not.toContain(wal!.start);
    const records = readdirSync(join(lab.locations['onsite']!, 'lifeboat', lab.system, 'physical', 'main'));
    // How the database was configured stands beside each, encrypted as its location is.
    expect(records.sort()).toEqual(
      [second.id, third.id].flatMap((id) => [`${id}.known.json.age`, `${id}.meta.json`]).sort(),
    );
    expect(await ids()).not.toContain(first.id);
  });

  test('the last one that was verified stays, although newer ones are kept', async () => {
    const [newest, verified] = await ids();
    await physical.verify(host.context).execute({ component: 'main' });
    const newer = await take('full');
    // As in a location that is too large to be read after each backup.
    const file = join(lab.locations['onsite']!, 'lifeboat', lab.system, 'physical', 'main', `${newer.id}.meta.json`);
    const { verified: at, ...unverified } = JSON.parse(readFileSync(file, 'utf8')) as BackupRecord;
    expect(at, 'it was verified when it was taken').toBeDefined();
    writeFileSync(file, JSON.stringify(unverified));
    expect(await going(keeping({ full: 1 }))).toEqual([verified]);
    expect(await ids()).toEqual([newer.id, newest, verified]);
    await expect(physical.remove(host.context, 'main', 'onsite', [newest!, verified!])).rejects.toThrow(
      /last good full backup/,
    );
    await physical.verify(host.context).execute({ component: 'main' });
    expect((await going(keeping({ full: 1 }))).sort()).toEqual([verified, newest].sort());
  });

  test('what another is based on is not removed without it; removing is done once, however often it is asked for', async () => {
    const [base] = await ids();
    const one = await take('differential');
    await expect(physical.remove(host.context, 'main', 'onsite', [base!])).rejects.toThrow(/is based on/);
    // Old enough to go: but only what is based on nothing that stays.
    expect(await going(keeping({ full: 7, incremental: 0 }))).toEqual([one.id]);
    await physical.remove(host.context, 'main', 'onsite', [one.id]);
    await physical.remove(host.context, 'main', 'onsite', [one.id]);
    expect((await ids())[0]).toBe(base);
  });

  test('what is being restored from stays meanwhile', async () => {
    const oldest = (await ids()).at(-1)!;
    const scratch = scratchOf(host.cluster, 'someone');
    await writeMark(scratch, {
      incident: 'someone',
      label: oldest,
      location: 'onsite',
      target: 'latest',
      stage: 'files',
    });
    expect(await going(keeping({ full: 1 }))).not.toContain(oldest);
    await expect(physical.remove(host.context, 'main', 'onsite', [oldest])).rejects.toThrow(/being restored from/);
    await writeMark(scratch, {
      incident: 'someone',
      label: oldest,
      location: 'onsite',
      target: 'latest',
      stage: 'recovered',
    });
    expect(await going(keeping({ full: 1 }))).toContain(oldest);
  });

  test('killed in the middle of a backup, of a restore: no lock is left, and the next attempt completes', async () => {
    const killed = async (ledger: string, work: Promise<unknown>) => {
      const file = join(host.context.state, 'running', ledger);
      const outcome = work.then(
        () => 'it was done before it could be killed',
        (error: unknown) => (error as Error).message,
      );
      const pid = await until(`${ledger} is there`, () =>
        existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) : undefined,
      );
      process.kill(-pid, 'SIGKILL');
      expect(await outcome).toMatch(/ended with code 137/);
    };
    const before = await ids();
    await killed('main-pgbackrest-backup.running', take('full'));
    expect(await ids(), 'nothing half-done is listed').toEqual(before);
    const { id, failed } = await take('full');
    expect(failed).toEqual([]);
    const request = { component: 'main', id, location: 'onsite', run: 'killed' };
    await killed('main-pgbackrest-restore-test-killed.running', physical.testRestore(host.context).execute(request));
    expect(await physical.testRestore(host.context).execute(request)).toMatchObject({ id, doubts: [] });
  });

  test('a copy that the test of an earlier run left is cleared away by the next one', async () => {
    const beside = () => readdirSync(dirname(lab.primary.dataDirectory)).filter((name) => /restored-test-/.test(name));
    const [newest] = await ids();
    await host.beat();
    const left = scratchOf(host.cluster, 'test-gone');
    await host.restore('test-gone', newest);
    expect(beside()).not.toEqual([]);
    expect(left.directory).toMatch(/restored-test-gone$/);
    await physical
      .testRestore(host.context)
      .execute({ component: 'main', id: newest!, location: 'onsite', run: 'next' });
    expect(beside()).toEqual([]);
  });
});
