import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureArchiving, protect } from '../../../activities/backups/protect.js';
import type { HostContext } from '../../../activities/context.js';
import { hostFacts } from '../../../activities/doctor/host-facts.js';
import { assess } from '../../../activities/postgres/assess.js';
import { checkRequest } from '../../../activities/postgres/check-request.js';
import { claimFile } from '../../../activities/postgres/claim.js';
import { clusterOf, resolveDirectories } from '../../../activities/postgres/cluster.js';
import { saveEvidence } from '../../../activities/postgres/evidence.js';
import { noteCluster } from '../../../activities/postgres/note-cluster.js';
import { openDatabase, release } from '../../../activities/postgres/open.js';
import { putBack, putInPlace } from '../../../activities/postgres/put-in-place.js';
import { stopWrites } from '../../../activities/postgres/stop-writes.js';
import { verifyRestored } from '../../../activities/postgres/verify-restored.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { makeDirectory, own, runAsDatabaseUser } from '../../../lab/os-user.js';
import { isAlive } from '../../../lab/processes.js';
import { tool } from '../../../lab/tools.js';
import { until } from '../../../lab/wait.js';
import { type Host, hostOf, switchSegment, withPlan } from '../../helpers/host.js';

/** The place of a database: what of it is gone, by which names it is reached, and how it was configured; by the capabilities themselves. */
describe("a database's own place", { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let data: string;
  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100, locations: 1 });
    host = await hostOf(lab);
    data = lab.primary.dataDirectory;
    await host.backup();
    await host.beat();
  }, 900_000);
  afterAll(() => lab.stop());

  const at = (directory: string): HostContext =>
    withPlan(host, (plan) => {
      plan.databases['main']!.postgres.dataDirectory = { db1: directory };
    });
  const of = (incident: string) => ({ database: 'main', incident });
  const check = (incident: string, context = host.context) => checkRequest(context).execute(of(incident));
  const doctor = async (what: string) =>
    (await hostFacts(host.context).execute({})).checks.find((one) => one.what === `main primary: ${what}`);

  const close = async (incident: string) => {
    await check(incident);
    await stopWrites(host.context).execute(of(incident));
    await saveEvidence(host.context).execute(of(incident));
  };
  const restoreAndVerify = async (incident: string) => {
    await host.restore(incident);
    return verifyRestored(host.context).execute({ ...of(incident), target: 'latest', declaredAt: new Date().toISOString() });
  };
  const open = async (incident: string) => {
    await openDatabase(host.context).execute(of(incident));
    await release(host.context).execute(of(incident));
    await ensureArchiving(host.cluster);
    for (const name of readdirSync(lab.primary.directory).filter((one) => /^data\.(quarantine|replaced|restored)-/.test(one)))
      rmSync(join(lab.primary.directory, name), { recursive: true });
  };
  const rows = async () => (await lab.primary.sql<{ n: number }>('SELECT count(*)::int AS n FROM orders'))[0]!.n;

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
      const { restoreBeside } = await import('../../../activities/backups/restore-beside.js');
      await expect(restoreBeside(broken).execute({ ...of('wrong'), target: 'latest', candidate: candidate! })).rejects.toThrow();
      expect(await doctor('restore')).toMatchObject({ result: 'fail', says: expect.stringContaining('the last one failed') as string });
      const verified = await restoreAndVerify('wrong');
      expect(verified.checks).toContain("a start with production's own configuration");
      expect(await doctor('restore')).toMatchObject({ result: 'pass' });
    });
  });

  describe('configuration that production does not start with', () => {
    test('doctor says what PostgreSQL says of it', async () => {
      const file = join(data, 'postgresql.conf');
      const before = readFileSync(file, 'utf8');
      appendFileSync(file, "\nshared_buffers = 'many'\n");
      try {
        expect(await doctor('configuration')).toMatchObject({ result: 'fail', says: expect.stringContaining('shared_buffers') as string });
      } finally {
        writeFileSync(file, before);
      }
      expect(await doctor('configuration')).toMatchObject({ result: 'pass' });
    });

    test('a key that the owner of the data cannot read', async () => {
      const key = join(lab.directory, 'server.key');
      writeFileSync(key, 'secret', { mode: 0o600 });
      const settings = join(data, 'postgresql.conf');
      const before = readFileSync(settings, 'utf8');
      appendFileSync(settings, `\nssl = on\nssl_key_file = '${key}'\n`);
      try {
        const found = await doctor('configuration');
        if (process.getuid?.() === 0)
          expect(found).toMatchObject({ result: 'fail', says: expect.stringContaining('ssl_key_file cannot be read') as string });
      } finally {
        writeFileSync(settings, before);
      }
    });

    test('what only a start shows is known before the approval, and stays a finding of doctor', async () => {
      const file = join(data, 'postgresql.conf');
      const before = readFileSync(file, 'utf8');
      appendFileSync(file, "\nshared_preload_libraries = 'not_there'\n");
      try {
        const verified = await restoreAndVerify('preload');
        expect(verified.doubts.join('\n')).toMatch(/does not start with production's own configuration: .*not_there/);
        expect(verified.summary).toMatch(/^sound/);
        expect(await doctor('restore')).toMatchObject({ result: 'fail', says: expect.stringContaining('not_there') as string });
      } finally {
        writeFileSync(file, before);
      }
    });
  });

  test('what was configured since the backup stays: hba, settings, ALTER SYSTEM, links; slots come back or are named', async () => {
    const { primary } = lab;
    const ident = join(lab.directory, 'ident.conf');
    const hba = join(data, 'pg_hba.conf');
    const open0 = readFileSync(hba, 'utf8');
    writeFileSync(hba, `host all leaver all reject\n${open0}`);
    writeFileSync(ident, '# ours\n');
    own(ident);
    rmSync(join(data, 'pg_ident.conf'), { force: true });
    symlinkSync(ident, join(data, 'pg_ident.conf'));
    mkdirSync(join(data, 'conf.d'));
    own(join(data, 'conf.d'));
    writeFileSync(join(data, 'conf.d', 'ours.conf'), "work_mem = '7MB'\n");
    appendFileSync(join(data, 'postgresql.conf'), "\ninclude_dir = 'conf.d'\nwal_level = logical\n");
    await primary.sql(`ALTER SYSTEM SET maintenance_work_mem = '33MB'`);
    await primary.restart();
    await primary.sql(`SELECT pg_create_physical_replication_slot('standby1')`);
    await primary.sql(`SELECT pg_create_logical_replication_slot('feed', 'pgoutput')`);
    await close('since');
    const { differences, doubts } = await restoreAndVerify('since');
    const said = differences.join('\n');
    expect(doubts.filter((one) => /start/.test(one))).toEqual([]);
    expect(said).toMatch(/today's configuration is kept, and not that of the backup: /);
    for (const name of [
      'pg_hba.conf (1 line differs)',
      'postgresql.auto.conf (',
      'conf.d/ours.conf (not in the backup',
      'postgresql.conf (2 lines differ)',
    ])
      expect(said).toContain(name);
    expect(said).toContain(`a link to ${ident}`);
    expect(said).toMatch(/slots that are made again.*: standby1/);
    expect(said).toMatch(/logical replication slots that are gone afterwards: feed/);
    expect(await restoreAndVerify('since'), 'done again, it says the same').toMatchObject({ differences });

    const placed = await putInPlace(host.context).execute(of('since'));
    expect(placed).toMatchObject({ canGoBack: true, warnings: [] });
    await openDatabase(host.context).execute(of('since'));
    expect(readFileSync(hba, 'utf8')).toBe(`host all leaver all reject\n${open0}`);
    expect(readlinkSync(join(data, 'pg_ident.conf'))).toBe(ident);
    const [now] = await primary.sql(
      `SELECT current_setting('work_mem') AS work, current_setting('maintenance_work_mem') AS maintenance, current_setting('archive_mode') AS archive,
              (SELECT string_agg(slot_name || ' ' || slot_type, ',') FROM pg_replication_slots) AS slots`,
    );
    expect(now).toEqual({ work: '7MB', maintenance: '33MB', archive: 'on', slots: 'standby1 physical' });
    expect(readFileSync(join(data, 'postgresql.auto.conf'), 'utf8')).not.toMatch(/recovery_target|restore_command/);
    await primary.sql(`SELECT pg_drop_replication_slot('standby1')`);
    await open('since');
    await host.backup();
  });

  test('a tablespace made since the backup is never replayed into production; after a backup, where it lives afterwards is said', async () => {
    const { primary } = lab;
    const space = makeDirectory(join(lab.directory, 'space'), 0o700);
    await primary.sql(`CREATE TABLESPACE elsewhere LOCATION '${space}'`);
    await primary.sql(`CREATE TABLE there (id int) TABLESPACE elsewhere`);
    await primary.sql(`INSERT INTO there SELECT generate_series(1, 1000)`);
    await expect(host.restore('space')).rejects.toMatchObject({
      type: 'TargetUnreachable',
      message: expect.stringContaining(space) as string,
    });
    await host.backup();
    await host.beat();
    const { differences } = await restoreAndVerify('space2');
    expect(differences.join('\n')).toMatch(
      new RegExp(`tablespace \\d+ was at ${space}, and is at .*restored-space2\\.tablespaces/elsewhere afterwards`),
    );
    expect((await primary.sql('SELECT count(*)::int AS n FROM there'))[0]).toEqual({ n: 1000 });
    await primary.sql('DROP TABLE there');
    await primary.sql('DROP TABLESPACE elsewhere');
    await host.backup();
  });

  test('configuration under other names, and a directory of it that is a link, stay as they are today', async () => {
    const { primary } = lab;
    const conf = readFileSync(join(data, 'postgresql.conf'), 'utf8');
    const folder = makeDirectory(join(lab.directory, 'conf-elsewhere'));
    symlinkSync(folder, join(data, 'linked.d'));
    writeFileSync(join(folder, 'a.conf'), "work_mem = '5MB'\n");
    for (const [name, text] of [
      ['access.conf', readFileSync(join(data, 'pg_hba.conf'), 'utf8')],
      ['names.conf', ''],
    ] as const) {
      writeFileSync(join(data, name), text);
      own(join(data, name));
    }
    appendFileSync(
      join(data, 'postgresql.conf'),
      `\nhba_file = '${data}/access.conf'\nident_file = '${data}/names.conf'\ninclude_dir 'linked.d'\n`,
    );
    await primary.restart();
    await host.backup();
    const today = `host all leaver2 all reject\n${readFileSync(join(data, 'access.conf'), 'utf8')}`;
    writeFileSync(join(data, 'access.conf'), today);
    writeFileSync(join(data, 'names.conf'), '# today\nours root postgres\n');
    await host.beat();
    await close('names');
    const { differences, doubts } = await restoreAndVerify('names');
    expect(doubts).toEqual([]);
    for (const line of ['access.conf (1 line differs)', 'names.conf (1 line differs)', `linked.d (a link to ${folder})`])
      expect(differences.join('\n')).toContain(line);
    expect(await restoreAndVerify('names'), 'done again, it says the same').toMatchObject({ differences });
    await putInPlace(host.context).execute(of('names'));
    expect(readFileSync(join(data, 'access.conf'), 'utf8')).toMatch(/^# Closed by Lifeboat/);
    await openDatabase(host.context).execute(of('names'));
    expect(readFileSync(join(data, 'access.conf'), 'utf8')).toBe(today);
    expect(readlinkSync(join(data, 'linked.d'))).toBe(folder);
    await open('names');
    writeFileSync(join(data, 'postgresql.conf'), conf);
    await primary.restart();
    await host.backup();
  });

  test('pg_wal on a disk of its own is said before the approval, goes to that disk again, and comes back with a roll-back', async () => {
    const { primary } = lab;
    const disk = makeDirectory(join(lab.directory, 'fast-disk'));
    await primary.stop();
    renameSync(join(data, 'pg_wal'), join(disk, 'wal'));
    symlinkSync(join(disk, 'wal'), join(data, 'pg_wal'));
    await primary.start();
    await host.beat();
    const before = await rows();
    await close('wal');
    const { differences } = await restoreAndVerify('wal');
    expect(differences).toContain(
      `pg_wal is at ${disk}/wal, and that of the copy goes to ${disk}/wal.restored-wal when it is put in place`,
    );
    // What an attempt has left that was killed while it copied.
    mkdirSync(join(disk, 'wal.restored-wal.part'));
    expect(await putInPlace(host.context).execute(of('wal'))).toMatchObject({ warnings: [] });
    expect(readlinkSync(join(data, 'pg_wal'))).toBe(`${disk}/wal.restored-wal`);
    expect(readlinkSync(join(`${data}.quarantine-wal`, 'pg_wal')), 'of the damaged one').toBe(`${disk}/wal`);
    expect(readdirSync(data).filter((name) => name.startsWith('pg_wal'))).toEqual(['pg_wal']);
    await putBack(host.context).execute(of('wal'));
    expect(readlinkSync(join(data, 'pg_wal'))).toBe(`${disk}/wal`);
    await putInPlace(host.context).execute(of('wal'));
    expect(readlinkSync(join(data, 'pg_wal'))).toBe(`${disk}/wal.restored-wal`);
    await open('wal');
    expect(await rows()).toBe(before);
    await primary.stop();
    rmSync(join(data, 'pg_wal'));
    renameSync(`${disk}/wal.restored-wal`, join(data, 'pg_wal'));
    await primary.start();
    await host.backup();
  });

  describe('what is gone', () => {
    test('pg_hba.conf of a server that runs: put back as the agent saw it, and closed', async () => {
      const hba = join(data, 'pg_hba.conf');
      const before = readFileSync(hba, 'utf8');
      await noteCluster(host.cluster);
      rmSync(hba);
      expect(await doctor('configuration')).toMatchObject({ result: 'fail', says: expect.stringContaining('pg_hba.conf') as string });
      expect((await check('hba')).warnings.join('\n')).toMatch(/configuration that is gone is put back as it was at .*pg_hba\.conf/);
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
      expect(await assess(host.context).execute({ ...of('conf'), round: 1 })).toMatchObject({ classification: 'healthy' });
      await open('conf');
    });

    test.each([
      ['all of the data directory', () => rmSync(data, { recursive: true }), /the data directory is gone/, false],
      ['pg_control', () => rmSync(join(data, 'global', 'pg_control')), /has no global\/pg_control any more/, false],
    ] as const)('%s: restored into its place, with the configuration that the agent saw', async (what, destroy, says, canGoBack) => {
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
    });

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

    test.runIf(process.getuid?.() === 0)('a disk that is not mounted is no disaster, and is refused (needs root)', async () => {
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
    });

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
