import { copyFileSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { ensureArchiving } from '../../activities/backups/protect.js';
import { type HostContext, hostState } from '../../activities/context.js';
import { hostFacts } from '../../activities/doctor/host-facts.js';
import { checkRequest } from '../../activities/recovery/check-request.js';
import { claim, claimedBy, releaseClaim } from '../../activities/postgres/claim.js';
import { clusterOf } from '../../activities/postgres/cluster.js';
import { hbaFile } from '../../activities/postgres/fence.js';
import { openDatabase } from '../../activities/postgres/open.js';
import { putInPlace } from '../../activities/recovery/put-in-place.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { createPrimary } from '../../lab/cluster.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory, own } from '../../lab/os-user.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf, withPlan } from '../helpers/host.js';
import { changesNothing } from '../helpers/unchanged.js';

/** The right host, the right directory, and one hand on it at a time: by the capabilities themselves. */
describe('on the host', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100, locations: 2 });
    host = await hostOf(lab);
    await host.backup();
    await host.beat();
  }, 900_000);
  afterAll(() => lab.stop());

  const at = (directory: string): HostContext =>
    withPlan(host, (plan) => {
      plan.databases['main']!.postgres.dataDirectory = { db1: directory };
    });
  const check = (context: HostContext) => checkRequest(context).execute({ database: 'main', incident: 'i1' });
  const isRefused = (context: HostContext, type: string, says: RegExp) =>
    changesNothing(lab, () =>
      expect(check(context)).rejects.toMatchObject({
        type,
        message: expect.stringMatching(says),
        details: [{ hint: expect.any(String) }],
      }),
    );

  describe('field note 13: the wrong host, the wrong directory', () => {
    test('a directory that is not there', () =>
      isRefused(at(join(lab.directory, 'none')), 'WrongTarget', /there is no directory .*none on db1/));
    test('a directory that is none of PostgreSQL', () =>
      isRefused(
        at(join(lab.directory, 'logs')),
        'WrongTarget',
        /is not a PostgreSQL data directory: it has no PG_VERSION/,
      ));

    test('a link in its place since the agent began: renaming it would quarantine nothing', async () => {
      const link = join(lab.directory, 'link');
      symlinkSync(lab.primary.dataDirectory, link);
      await isRefused(at(link), 'WrongTarget', /link on db1 is a link to .*db1\/data/);
    });

    test('another cluster: its system identifier is not that of the backups', async () => {
      const other = await createPrimary({
        host: 'other',
        directory: join(lab.directory, 'other'),
        passwords: lab.primary.passwords,
        database: 'shop',
        fast: true,
      });
      await isRefused(at(other.dataDirectory), 'WrongTarget', /is cluster \d+, but the backups are of cluster \d+/);
      await other.stop();
    });

    test('a host that does not have the database', () => {
      const context = { ...host.context, host: 'app9' };
      expect(() => clusterOf(context, 'main')).toThrow('database main is not on host app9');
    });

    test.runIf(process.getuid?.() === 0)('a mount point (needs root)', async () => {
      const mounted = makeDirectory(join(lab.directory, 'mounted'));
      execFileSync('mount', ['--bind', lab.primary.dataDirectory, mounted]);
      try {
        await isRefused(at(mounted), 'WrongTarget', /is a mount point, and cannot be renamed aside/);
      } finally {
        execFileSync('umount', [mounted]);
      }
    });

    test('backups that failed in silence: doctor names the location that has none', async () => {
      const aside = `${lab.locations['offsite']}/backup`;
      renameSync(aside, `${aside}.aside`);
      try {
        const { checks } = await hostFacts(host.context).execute({});
        expect(checks.find(({ what }) => what === 'main primary: backup age')).toMatchObject({
          result: 'fail',
          says: expect.stringContaining('offsite'),
        });
      } finally {
        renameSync(`${aside}.aside`, aside);
      }
    });
  });

  test.runIf(process.getuid?.() === 0)(
    'not enough disk: said with the numbers, before anything is stopped (needs root)',
    async () => {
      // A copy of the data on a small file system: the request is checked against the room beside it.
      const small = makeDirectory(join(lab.directory, 'small'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90m', 'tmpfs', small]);
      try {
        makeDirectory(join(small, 'data', 'global'));
        for (const file of ['PG_VERSION', 'global/pg_control']) {
          copyFileSync(join(lab.primary.dataDirectory, file), join(small, 'data', file));
          own(join(small, 'data', file));
        }
        own(join(small, 'data'));
        await isRefused(
          at(join(small, 'data')),
          'NotEnoughSpace',
          /a restore beside .* needs [\d.]+ MB, and [\d.]+ MB are free/,
        );
      } finally {
        execFileSync('umount', [small]);
      }
    },
  );

  describe('field note 17: the lock is on the data directory, not on the job', () => {
    test('of two incidents that come at once, one has it', async () => {
      const came = await Promise.allSettled(Array.from({ length: 12 }, (_, n) => claim(host.cluster, `at-once-${n}`)));
      const holder = await claimedBy(host.cluster);
      expect(
        came.filter(({ status }) => status === 'fulfilled'),
        `${holder} holds it`,
      ).toHaveLength(1);
      expect(came.findIndex(({ status }) => status === 'fulfilled')).toBe(Number(holder!.slice('at-once-'.length)));
      await releaseClaim(host.cluster, holder!);
      expect(await claimedBy(host.cluster)).toBeUndefined();
    });

    test('another incident is refused everything: its request, to close, to open, to move, to back up', async () => {
      await claim(host.cluster, 'theirs');
      const names = { database: 'main', incident: 'i1' };
      const held = expect.stringMatching(/held by (incident )?theirs|incident theirs (is open|holds)/);
      await isRefused(host.context, 'BadRequest', /is held by incident theirs/);
      await expect(stopWrites(host.context).execute(names)).rejects.toMatchObject({ type: 'Busy', message: held });
      await expect(openDatabase(host.context).execute(names)).rejects.toMatchObject({ type: 'Busy', message: held });
      await expect(putInPlace(host.context).execute(names)).rejects.toMatchObject({ type: 'Busy', message: held });
      await expect(
        backupPhysical(host.context).execute({ component: 'main', type: 'full', run: 'x' }),
      ).rejects.toMatchObject({
        message: held,
      });
      await releaseClaim(host.cluster, 'i1');
      expect(await claimedBy(host.cluster), 'nor does it let go of what is not its own').toBe('theirs');
      await releaseClaim(host.cluster, 'theirs');
    });

    test('two systems on one database: the second does not take over the archiving of the first', async () => {
      const [before] = await lab.primary.sql<{ command: string }>(
        `SELECT current_setting('archive_command') AS command`,
      );
      const context = { ...host.context, state: await hostState('other-system', 'db1') };
      const second = withPlan({ ...host, context }, (plan) => {
        plan.system = 'other-system';
      });
      await expect(ensureArchiving(clusterOf(second, 'main'))).rejects.toMatchObject({
        message: expect.stringContaining("somebody else's, and was left alone"),
      });
      expect(await lab.primary.sql(`SELECT current_setting('archive_command') AS command`)).toEqual([before]);
    });
  });

  describe('field note 1: a session that was open before', () => {
    test('can no longer commit, nor can anybody else; closed is closed, also for a superuser and after a restart', async () => {
      const session = new pg.Client(lab.primary.appConnection());
      session.on('error', () => undefined);
      await session.connect();
      await session.query('BEGIN; UPDATE products SET price = 1 WHERE id = 1');
      const closed = await stopWrites(host.context).execute({ database: 'main', incident: 'fence' });
      expect(closed.proofs.join('; ')).toMatch(
        /a session that was open before can no longer write.*listens on a private socket alone/,
      );
      await expect(session.query('COMMIT')).rejects.toThrow();
      await expect(lab.primary.asApp('SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
      await lab.primary.restart();
      await expect(lab.primary.asApp('SELECT 1')).rejects.toThrow(/pg_hba\.conf rejects/);
      expect(
        (await stopWrites(host.context).execute({ database: 'main', incident: 'fence' })).summary,
        'done again',
      ).toMatch(/a write is refused/);
      await openDatabase(host.context).execute({ database: 'main', incident: 'fence' });
      await releaseClaim(host.cluster, 'fence');
      expect(await lab.primary.asApp('SELECT price FROM products WHERE id = 1')).not.toEqual([{ price: '1.00' }]);
    });
  });

  test('PostgreSQL that will not start, since its configuration is wrong: it can be closed all the same', async () => {
    const conf = join(lab.primary.dataDirectory, 'postgresql.conf');
    const good = readFileSync(conf, 'utf8');
    const hba = await hbaFile(host.cluster);
    await lab.primary.stop();
    writeFileSync(conf, `${good}\nshared_buffers = banana\n`);
    try {
      expect(await hbaFile(host.cluster)).toBe(hba);
      const closed = await stopWrites(host.context).execute({ database: 'main', incident: 'broken' });
      expect(closed.summary).toBe('the server does not run, and is closed when it starts');
    } finally {
      writeFileSync(conf, good);
    }
    await openDatabase(host.context).execute({ database: 'main', incident: 'broken' });
    await releaseClaim(host.cluster, 'broken');
    await until('it takes writes again', () => lab.primary.asApp('UPDATE products SET price = price'));
  });
});
