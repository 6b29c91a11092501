import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { protect } from '../../../activities/backups/protect.js';
import type { HostContext } from '../../../activities/context.js';
import { assess } from '../../../activities/recovery/assess.js';
import { checkRequest } from '../../../activities/recovery/check-request.js';
import { claimFile } from '../../../activities/postgres/claim.js';
import { clusterOf, resolveDirectories } from '../../../activities/postgres/cluster.js';
import { noteCluster } from '../../../activities/postgres/note-cluster.js';
import { putBack, putInPlace } from '../../../activities/recovery/put-in-place.js';
import { stopWrites } from '../../../activities/postgres/stop-writes.js';
import type { Lab } from '../../../lab/lab.js';
import { makeDirectory, runAsDatabaseUser } from '../../../lab/os-user.js';
import { isAlive } from '../../../lab/processes.js';
import { tool } from '../../../lab/tools.js';
import { until } from '../../../lab/wait.js';
import { byCapabilities } from '../../helpers/by-capabilities.js';
import { type Host, switchSegment, withPlan } from '../../helpers/host.js';

/** The place of a database: what of it is gone, and by which names it is reached; by the capabilities themselves. */
describe("a database's own place", { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let data: string;
  const on = byCapabilities();
  beforeAll(() => void ({ lab, host, data } = on));
  const { at, of, check, doctor, close, restoreAndVerify, open, rows } = on;

  describe('a plan that no restore works with', () => {
    test('a restore that was never tried is a finding of doctor', async () =>
      expect(await doctor('restore')).toMatchObject({
        result: 'warn',
        says: expect.stringContaining('no backup was ever restored') as string,
      }));

    test('one that failed is, until one holds', async () => {
      const broken = withPlan(host, (plan) => {
        plan.databases['main']!.postgres.configFile = join(lab.directory, 'none.conf');
      });
      const [candidate] = await host.candidates();
      const { restoreBeside } = await import('../../../activities/recovery/restore-beside.js');
      await expect(
        restoreBeside(broken).execute({ ...of('wrong'), target: 'latest', candidate: candidate! }),
      ).rejects.toThrow();
      expect(await doctor('restore')).toMatchObject({
        result: 'fail',
        says: expect.stringContaining('the last one failed') as string,
      });
      const verified = await restoreAndVerify('wrong');
      expect(verified.checks).toContain("a start with production's own configuration");
      expect(await doctor('restore')).toMatchObject({ result: 'pass' });
    });
  });

  describe('what is gone', () => {
    test('pg_hba.conf of a server that runs: put back as the agent saw it, and closed', async () => {
      const hba = join(data, 'pg_hba.conf');
      const before = readFileSync(hba, 'utf8');
      await noteCluster(host.cluster);
      rmSync(hba);
      expect(await doctor('configuration')).toMatchObject({
        result: 'fail',
        says: expect.stringContaining('pg_hba.conf') as string,
      });
      expect((await check('hba')).warnings.join('\n')).toMatch(
        /configuration that is gone is put back as it was at .*pg_hba\.conf/,
      );
      await close('hba');
      expect(readFileSync(hba, 'utf8')).toMatch(/^# Closed by Lifeboat/);
      await open('hba');
      expect(readFileSync(hba, 'utf8')).toBe(before);
    });

    test('postgresql.conf of a server that is down: put back, it starts, and nothing else is wrong', async () => {
      const file = join(data, 'postgresql.conf');
      const before = readFileSync(file, 'utf8');
      await noteCluster(host.cluster);
      await lab.primary.stop();
      rmSync(file);
      await close('conf');
      expect(readFileSync(file, 'utf8')).toBe(before);
      expect(await assess(host.context).execute({ ...of('conf'), round: 1 })).toMatchObject({
        classification: 'healthy',
      });
      await open('conf');
    });

    test.each([
      ['all of the data directory', () => rmSync(data, { recursive: true }), /the data directory is gone/, false],
      ['pg_control', () => rmSync(join(data, 'global', 'pg_control')), /has no global\/pg_control any more/, false],
    ] as const)(
      '%s: restored into its place, with the configuration that the agent saw',
      async (what, destroy, says, canGoBack) => {
        const incident = `gone-${what.replace(/\W/g, '')}`;
        await lab.primary.sql(`ALTER SYSTEM SET work_mem = '9MB'`);
        await lab.primary.sql('INSERT INTO customers (name, email) VALUES ($1, $2)', [what, `${what}@example.com`]);
        const hba = readFileSync(join(data, 'pg_hba.conf'), 'utf8');
        const before = await rows();
        await noteCluster(host.cluster);
        await switchSegment(lab.primary);
        await until('it is archived', async () => {
          const found = await lab.primary.sql<{ all: boolean }>(
            `SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 16 * 1024 * 1024) AS all FROM pg_stat_archiver`,
          );
          return found[0]?.all;
        });
        await lab.primary.stop();
        destroy();
        expect(await doctor('data directory')).toMatchObject({
          result: 'fail',
          says: expect.stringMatching(says) as string,
          hint: expect.stringContaining('lifeboat start database-corruption') as string,
        });
        expect((await check(incident)).warnings.join('\n')).toMatch(says);
        await close(incident);
        expect(await assess(host.context).execute({ ...of(incident), round: 1 })).toMatchObject({
          classification: 'not repairable',
          findings: [expect.stringMatching(says) as string],
        });
        const { differences, doubts } = await restoreAndVerify(incident);
        expect(doubts).toEqual([]);
        if (what !== 'pg_control') expect(differences.join('\n')).toMatch(/the configuration as it was at .* is kept/);
        const placed = await putInPlace(host.context).execute(of(incident));
        expect(placed).toMatchObject({ canGoBack });
        expect(placed.bytes > 0).toBe(what === 'pg_control');
        // Killed in between, it is done again with the same end.
        expect(await putInPlace(host.context).execute(of(incident))).toMatchObject({ canGoBack, bytes: placed.bytes });
        await open(incident);
        expect(await rows()).toBe(before);
        expect(readFileSync(join(data, 'pg_hba.conf'), 'utf8')).toBe(hba);
        expect((await lab.primary.sql(`SELECT current_setting('work_mem') AS mem`))[0]).toEqual({ mem: '9MB' });
        expect(statSync(data).mode & 0o777).toBe(0o700);
        await host.backup();
      },
    );

    test('everything in it; and the copy does not hold: the emptiness is put back, and it can be tried again', async () => {
      await noteCluster(host.cluster);
      await lab.primary.stop();
      rmSync(data, { recursive: true });
      mkdirSync(data);
      expect((await check('again')).warnings.join('\n')).toMatch(/the data directory is empty/);
      await close('again');
      await restoreAndVerify('again');
      await putInPlace(host.context).execute(of('again'));
      const back = await putBack(host.context).execute(of('again'));
      expect(back.summary).toMatch(/it does not start/);
      expect(readdirSync(data)).toEqual([]);
      await putInPlace(host.context).execute(of('again'));
      await open('again');
      expect(await rows()).toBeGreaterThan(0);
      await host.backup();
    });

    test('backends of a server whose directory was removed under its hands are ended', async () => {
      await noteCluster(host.cluster);
      const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
      rmSync(data, { recursive: true });
      await close('under');
      expect(isAlive(pid), 'the postmaster').toBe(false);
      await restoreAndVerify('under');
      await putInPlace(host.context).execute(of('under'));
      await open('under');
      expect(await rows()).toBeGreaterThan(0);
      await host.backup();
    });

    test.runIf(process.getuid?.() === 0)(
      'a disk that is not mounted is no disaster, and is refused (needs root)',
      async () => {
        const disk = makeDirectory(join(lab.directory, 'disk'));
        execFileSync('mount', ['--bind', lab.primary.directory, disk]);
        const context = at(join(disk, 'data'));
        try {
          await resolveDirectories(context);
          await noteCluster(clusterOf(context, 'main'));
          await check('disk', context);
        } finally {
          execFileSync('umount', [disk]);
        }
        await expect(check('disk', context)).rejects.toMatchObject({
          type: 'WrongTarget',
          message: expect.stringContaining(`mounted at ${disk}`) as string,
          details: [{ hint: expect.stringContaining('Mount its disk') as string }],
        });
        await noteCluster(host.cluster);
      },
    );

    test('a directory that this database never lived in is a wrong plan', async () => {
      const context = at(join(lab.directory, 'never'));
      await expect(check('never', context)).rejects.toMatchObject({
        type: 'WrongTarget',
        details: [{ hint: expect.stringContaining(`It ran in ${data}`) as string }],
      });
    });
  });

  describe('a data directory that is reached by a link', () => {
    let link: string;
    let context: HostContext;
    beforeAll(async () => {
      link = join(lab.directory, 'main');
      symlinkSync(data, link);
      context = at(link);
      await resolveDirectories(context);
      await lab.primary.stop();
      await runAsDatabaseUser(
        tool('pg_ctl'),
        ['-D', link, '-l', join(lab.primary.directory, 'link.log'), '-w', 'start'],
        lab.primary.directory,
      );
    });

    test('is one directory by both names: one place, one claim', async () => {
      expect(clusterOf(context, 'main').dataDirectory).toBe(data);
      expect(claimFile(clusterOf(context, 'main'))).toBe(claimFile(host.cluster));
      await check('link', context);
    });

    test('pgBackRest gets the name that the server says', async () => {
      expect((await lab.primary.sql(`SELECT current_setting('data_directory') AS name`))[0]).toEqual({ name: link });
      expect((await protect(context).execute(of('link'))).summary).toMatch(/WAL arrives at every location/);
      const config = join(context.state, 'pgbackrest', 'main.conf');
      expect(readFileSync(config, 'utf8')).toContain(`pg1-path=${link}\n`);
    });

    test('what is renamed is the directory behind it', async () => {
      await checkRequest(context).execute(of('renamed'));
      await stopWrites(context).execute(of('renamed'));
      await restoreAndVerify('renamed');
      const { quarantine } = await putInPlace(context).execute(of('renamed'));
      expect(quarantine).toBe(`${data}.quarantine-renamed`);
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(lstatSync(data).isDirectory()).toBe(true);
      await open('renamed');
      expect(await rows()).toBeGreaterThan(0);
    });

    test('that leads elsewhere since the agent began is refused', async () => {
      const other = `${link}.other`;
      renameSync(link, other);
      symlinkSync(join(lab.directory, 'logs'), link);
      try {
        await expect(check('moved', context)).rejects.toMatchObject({
          type: 'WrongTarget',
          message: expect.stringMatching(/leads to .*logs, and led to .*data when the agent began/) as string,
        });
      } finally {
        rmSync(link);
        renameSync(other, link);
      }
      expect(basename(readlinkSync(link))).toBe('data');
    });
  });
});
