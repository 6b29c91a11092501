import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { restoreArguments } from '../../activities/backups/engines/pgbackrest.js';
import { clusterOf } from '../../activities/postgres/cluster.js';
import { scratchOf } from '../../activities/postgres/scratch.js';
import { postmasterPid, stopServer } from '../../activities/postgres/server.js';
import { verifyRestored } from '../../activities/recovery/verify-restored.js';
import { restoreBeside } from '../../activities/recovery/restore-beside.js';
import { removeWalSegment, walSegments } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import { freePort } from '../../lab/ports.js';
import { burst, countOrders } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { parseTarget } from '../../vocabulary/target.js';
import { moment } from '../helpers/end-state.js';
import { type Host, hostOf, switchSegment, withPlan } from '../helpers/host.js';

/**
 * Restores beside a database that runs, by the capability itself: what field-notes.md says of targets, timelines,
 * archiving and hosts.
 */
describe('restoring beside', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let first: string;
  /** Between two beats of the canary, with orders on both sides. */
  let target: string;
  let before: number;
  let lsn: string;

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200 });
    host = await hostOf(lab);
    await host.backup().then((label) => (first = label));
    await host.beat();
    await burst(lab.primary, 10);
    before = await countOrders(lab.primary);
    target = await moment(lab.primary);
    const [row] = await lab.primary.sql<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    lsn = row!.lsn;
    await host.beat();
    await burst(lab.primary, 7);
    await host.beat();
  }, 900_000);
  afterAll(() => lab.stop());

  const files = () => walSegments(lab.locations['onsite']!).map((file) => file.split('/').at(-1)!.slice(0, 24));
  const histories = () =>
    readdirSync(lab.locations['onsite']!, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.history'),
    );

  describe('procedure "PITR"', () => {
    test('always into a new directory, archiving off, on the timeline of production, paused at the target', async () => {
      const args = (text: string) =>
        restoreArguments(host.cluster, {
          label: first,
          location: 'onsite',
          timeline: 4,
          target: parseTarget(text),
          directory: '/new',
        });
      for (const text of ['latest', '2026-11-21T03:15:00Z', '0/3000148', first]) {
        expect(await args(text)).toEqual(
          expect.arrayContaining(['--pg1-path=/new', `--set=${first}`, '--archive-mode=off']),
        );
        expect((await args(text)).join(' '), 'exactly the timeline of production').toMatch(/target.timeline=4/);
        expect(await args(text)).not.toContain('--delta');
      }
      expect(await args('2026-11-21T03:15:00.5+05:30')).toContain('--target=2026-11-20 21:45:00.500000+00');
      expect(await args('0/3000148')).toEqual(
        expect.arrayContaining(['--type=lsn', '--target-exclusive', '--target-action=pause']),
      );
    });

    test('to a time: what was committed before is there, and nothing after; production runs on meanwhile', async () => {
      const pid = await postmasterPid(lab.primary.dataDirectory);
      const restored = await host.restore('pitr-time', target);
      expect(restored.timeline).toBe(2);
      expect(Date.parse(restored.recoveredTo!)).toBeLessThanOrEqual(Date.parse(target));
      expect(await host.askCopy('pitr-time', 'SELECT count(*)::int AS n FROM orders')).toEqual([{ n: before }]);
      const log = readFileSync(host.scratch('pitr-time').log, 'utf8');
      expect(log, 'the log of the server is what is believed').toMatch(
        /recovery stopping before[^]*pausing at the end of recovery[^]*archive recovery complete/,
      );
      expect(await postmasterPid(lab.primary.dataDirectory), 'production was not restarted').toBe(pid);
      expect(await countOrders(lab.primary)).toBe(before + 7);
    });

    test('done again, it only looks', async () => {
      const again = await host.restore('pitr-time', target);
      expect(again.timeline).toBe(2);
      expect(
        await host.askCopy('pitr-time', 'SELECT count(*)::int AS n FROM orders'),
        'the copy still runs: it was not restored anew',
      ).toEqual([{ n: before }]);
    });

    test('to an LSN, exclusive', async () => {
      await host.restore('pitr-lsn', lsn);
      expect(await host.askCopy('pitr-lsn', 'SELECT count(*)::int AS n FROM orders')).toEqual([{ n: before }]);
      await stopServer(host.cluster, host.scratch('pitr-lsn').directory);
    });

    test('to the latest: with the WAL that was not archived yet, nothing is lost', async () => {
      await host.restore('pitr-latest');
      expect(await host.askCopy('pitr-latest', 'SELECT count(*)::int AS n FROM orders')).toEqual([{ n: before + 7 }]);
      await stopServer(host.cluster, host.scratch('pitr-latest').directory);
    });
  });

  test('procedure "canary": its age in the copy is the RPO, measured from the moment of the declaration', async () => {
    const declaredAt = new Date(Date.parse(target) + 60_000).toISOString();
    const [canary] = await host.askCopy<{ ts: Date; seq: string }>(
      'pitr-time',
      'SELECT ts, seq::text FROM lifeboat.canary',
    );
    const verified = await verifyRestored(host.context).execute({
      database: 'main',
      incident: 'pitr-time',
      target,
      declaredAt,
    });
    expect(verified.rpoSeconds).toBeCloseTo((Date.parse(declaredAt) - canary!.ts.getTime()) / 1000, 2);
    expect(verified.rpoSeconds).toBeGreaterThan(60);
    expect(canary!.seq, 'it was beaten once before the target').toBe('2');
  });

  test('field note 9: a scratch copy archives nothing, although its own settings say that it should', async () => {
    const [row] = await lab.primary.sql<{ mode: string; command: string }>(
      `SELECT current_setting('archive_mode') AS mode, current_setting('archive_command') AS command`,
    );
    expect(row!.mode, 'archiving is on in production').toBe('on');
    expect(row!.command).toContain('archive-push');
    await host.restore('no-archiving', target);
    const [segments, lines] = [files(), histories()];
    const [copy] = await host.askCopy<{ mode: string; command: string; listens: string }>(
      'no-archiving',
      `SELECT current_setting('archive_mode') AS mode, current_setting('archive_command') AS command, current_setting('listen_addresses') AS listens`,
    );
    expect(copy).toEqual({ mode: 'off', command: '(disabled)', listens: '' });
    // It is promoted, and writes: enough for more than a segment.
    await host.askCopy(
      'no-archiving',
      'CREATE TABLE noise AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 20000) n',
    );
    await host.askCopy('no-archiving', 'SELECT pg_switch_wal()');
    await host.askCopy('no-archiving', 'CHECKPOINT');
    await stopServer(host.cluster, host.scratch('no-archiving').directory);
    const status = readdirSync(join(host.scratch('no-archiving').directory, 'pg_wal', 'archive_status')).filter(
      (name) => name.endsWith('.ready'),
    );
    expect(status, 'nothing waits to be archived').toEqual([]);
    expect(files(), 'no new segment in the repository').toEqual(segments);
    expect(histories(), 'no new timeline in the repository').toEqual(lines);
  });

  test('field note 8: a backup is restored on another host, with nothing but the plan and its secrets', async () => {
    const directory = makeDirectory(join(lab.directory, 'db9'));
    const port = await freePort();
    const context = withPlan(
      { ...host, context: { ...host.context, host: 'db9', state: makeDirectory(join(lab.directory, 'state-of-db9')) } },
      (plan) => {
        plan.hosts['db9'] = { region: 'elsewhere', address: '127.0.0.1' };
        const { postgres } = plan.databases['main']!;
        postgres.primary = 'db9';
        Object.assign(postgres.dataDirectory!, { db9: join(directory, 'data') });
        Object.assign(postgres.port, { db9: port });
        Object.assign(postgres.socketDirectory, { db9: makeDirectory(join(directory, 'socket')) });
      },
    );
    const elsewhere = clusterOf(context, 'main');
    const [candidate] = await host.candidates();
    const restored = await restoreBeside(context).execute({
      database: 'main',
      incident: 'elsewhere',
      target: first,
      candidate: candidate!,
    });
    expect(restored.bytes).toBeGreaterThan(1_000_000);
    const scratch = scratchOf(elsewhere, 'elsewhere');
    expect(existsSync(join(scratch.directory, 'PG_VERSION'))).toBe(true);
    expect(scratch.directory).toContain('/db9/');
    await stopServer(elsewhere, scratch.directory);
  });

  describe('field note 4: a target before the end of the chosen backup', () => {
    test('that backup is passed over, and the one before it is used', async () => {
      const second = await host.backup();
      await host.beat();
      const { candidates } = { candidates: await host.candidates(target) };
      expect(
        candidates.map(({ label }) => label),
        `${second} ended after the target`,
      ).toEqual([first]);
      expect((await host.candidates()).map(({ label }) => label)).toEqual([second, first]);
    });

    test('before the end of the very first one, there is none, and it says why', async () => {
      const info = new Date(Date.now() - 86_400_000).toISOString();
      await expect(host.candidates(info)).rejects.toMatchObject({
        type: 'NoBackup',
        message: expect.stringMatching(/it ended after the target/),
      });
    });
  });

  describe('field note 5: a hole in the WAL', () => {
    let gap: string;
    beforeAll(async () => {
      for (let n = 0; n < 3; n += 1) {
        await burst(lab.primary, 2);
        const segment = await switchSegment(lab.primary);
        await until(`${segment} is archived`, () => files().includes(segment));
      }
      // After the newest backup, with segments on both sides.
      gap = removeWalSegment(lab.locations['onsite']!, -2).split('/').at(-1)!.slice(0, 24);
      // Nor has production it any more: it would be taken from there.
      rmSync(join(lab.primary.dataDirectory, 'pg_wal', gap));
      await host.beat();
    });

    test('archiving had reported success all the time: only a look at the archive finds it', async () => {
      const [archiver] = await lab.primary.sql<{ failed: number }>(
        'SELECT failed_count::int AS failed FROM pg_stat_archiver',
      );
      expect(archiver!.failed).toBe(0);
      await expect(host.candidates()).rejects.toMatchObject({
        type: 'NoBackup',
        message: expect.stringContaining(`${gap} is missing`),
      });
    });

    test('a target before it can still be reached, and so can the backup itself', async () => {
      expect((await host.candidates(target)).map(({ label }) => label)).toEqual([first]);
      expect((await host.candidates(first)).map(({ label }) => label)).toEqual([first]);
      expect(
        (await host.candidates(lsn)).map(({ label }) => label),
        'by LSN too',
      ).toEqual([first]);
    });

    test('a new backup begins behind it', async () => {
      const fresh = await host.backup();
      expect((await host.candidates()).map(({ label }) => label)).toEqual([fresh]);
    });
  });
});
