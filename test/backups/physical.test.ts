import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { configFile } from '../../activities/backups/engines/pgbackrest-config.js';
import { physical } from '../../activities/backups/physical.js';
import type { HostContext } from '../../activities/context.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import { type Azurite, startAzurite } from '../../lab/servers/azurite.js';
import { startVersitygw, type Versitygw } from '../../lab/servers/versitygw.js';
import { burst } from '../../lab/shop.js';
import { loadPlan } from '../../plan/load.js';
import type { BackupRecord } from '../../workflows/messages.js';
import { type Host, hostOf, switchSegment, withPlan } from '../helpers/host.js';

/** One database at four places at once, each with everything: a directory, S3 in two regions, Azure. */
describe('physical backups at every kind of location', { timeout: 300_000 }, () => {
  const all = ['onsite', 'us', 'eu', 'azure'];
  const servers = mkdtempSync(join(tmpdir(), 'lifeboat-servers-'));
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  let lab: Lab;
  let host: Host;
  let us: Versitygw;
  let eu: Versitygw;
  let azure: Azurite;
  const stop: (() => Promise<void>)[] = [];
  let runs = 0;

  const localhost = (endpoint: string) => endpoint.replace('127.0.0.1', 'localhost');
  const take = (type: 'full' | 'differential' | 'incremental', context = host.context, run = `run-${(runs += 1)}`) =>
    backupPhysical(context).execute({ component: 'main', type, run });
  const listed = async (context = host.context): Promise<BackupRecord[]> => (await physical.list(context, 'main')).backups;
  const labelsAt = async (location: string) => (await listed()).filter((one) => one.location === location).map(({ id }) => id);

  beforeAll(async () => {
    const options = (name: string) => ({ directory: join(servers, name), env });
    [us, eu, azure] = await Promise.all([
      startVersitygw({ ...options('us'), region: 'us-east-1', buckets: ['backups'] }),
      startVersitygw({ ...options('eu'), region: 'eu-west-1', buckets: ['backups-eu'] }),
      startAzurite({ ...options('azure'), containers: ['backups'] }),
    ]);
    stop.push(...[us, eu, azure].map((server) => () => server.stop()));
    const s3 = (server: Versitygw, bucket: string, name: string) => ({
      s3: {
        ...{
          bucket,
          region: server.region,
          prefix: 'insight/db',
          endpoint: localhost(server.endpoint),
          pathStyle: true,
          caFile: server.caFile,
        },
        ...{ accessKeyId: `env:${name}_KEY`, secretAccessKey: `env:${name}_SECRET` },
      },
      encryption: 'env:BACKUP_PASSPHRASE',
    });
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 200 },
      env: {
        ...{
          US_KEY: us.accessKeyId,
          US_SECRET: us.secretAccessKey,
          EU_KEY: eu.accessKeyId,
          EU_SECRET: eu.secretAccessKey,
          AZURE_KEY: azure.key,
        },
      },
      plan: (plan) => {
        Object.assign(plan.locations, {
          us: s3(us, 'backups', 'US'),
          eu: s3(eu, 'backups-eu', 'EU'),
          azure: {
            azure: {
              account: azure.account,
              container: 'backups',
              key: 'env:AZURE_KEY',
              endpoint: localhost(azure.endpoint),
              caFile: azure.caFile,
            },
            encryption: 'env:BACKUP_PASSPHRASE',
          },
        });
        plan.databases['main']!.backups.physical!.locations = all;
      },
    });
    stop.push(() => lab.stop());
    host = await hostOf(lab);
  }, 300_000);
  afterAll(async () => {
    for (const one of stop.reverse()) await one();
    rmSync(servers, { recursive: true, force: true });
  });

  test('full, differential and incremental ones, read back at each, with a record beside each', async () => {
    const full = await take('full');
    expect(full, full.summary).toMatchObject({ failed: [], locations: all });
    await burst(lab.primary, 5);
    expect((await take('differential')).failed).toEqual([]);
    await burst(lab.primary, 5);
    expect((await take('incremental')).failed).toEqual([]);
    const backups = await listed();
    for (const location of all) {
      const here = backups.filter((one) => one.location === location);
      expect(
        here.map(({ type }) => type),
        location,
      ).toEqual(['incremental', 'differential', 'full']);
      expect(here[0], location).toMatchObject({
        ...{ system: lab.system, kind: 'physical', component: 'main', compression: 'zstd', encryption: 'pgbackrest', basedOn: here[1]!.id },
        tools: { pgbackrest: expect.stringMatching(/^2\./) as string, postgresql: expect.stringMatching(/^15/) as string },
        wal: { start: expect.stringMatching(/^[0-9A-F]{24}$/) as string },
      });
      expect(here[2]!.size).toBeGreaterThan(1_000_000);
    }
    const record = join(
      us.bucketDirectory('backups'),
      'insight/db/lifeboat',
      lab.system,
      'physical/main',
      `${backups.at(-3)!.id}.meta.json`,
    );
    expect(JSON.parse(readFileSync(record.replace(/[^/]+\.meta/, `${(await labelsAt('us'))[2]}.meta`), 'utf8'))).toMatchObject({
      ...{ type: 'full', location: 'us', database: lab.primary.database },
    });
  });

  test('no secret is on a command line, and the configuration is for the owner of the data alone', async () => {
    const file = configFile(host.cluster);
    const { mode, uid } = await import('node:fs').then(({ statSync }) => statSync(file));
    expect(mode & 0o777).toBe(0o600);
    if (process.getuid?.() === 0) expect(uid).not.toBe(0);
    const [command] = await lab.primary.sql<{ archive_command: string }>('SHOW archive_command');
    for (const secret of [us.secretAccessKey, azure.key, ...lab.secrets]) expect(command!.archive_command).not.toContain(secret);
  });

  test('every file at every location is verified, and the records say when', async () => {
    const found = await physical.verify(host.context).execute({ component: 'main' });
    expect(found, found.summary).toMatchObject({ sound: 12, damaged: [], failed: [] });
    expect((await listed()).every(({ verified }) => verified)).toBe(true);
  });

  test('two at once of one database come one after the other, and asked twice by one run it is taken once', async () => {
    const before = (await labelsAt('onsite')).length;
    const both = await Promise.all([take('incremental', host.context, 'twice'), take('incremental', host.context, 'other')]);
    const again = await take('incremental', host.context, 'twice');
    expect(both.flatMap(({ failed }) => failed)).toEqual([]);
    expect(again.id).toBe(both[0].id);
    expect((await labelsAt('onsite')).length).toBe(before + 2);
  });

  describe('a location that is away', () => {
    beforeAll(() => eu.kill9());
    afterAll(() => eu.restart());

    test('the others take the backup and all WAL, and the result names it', async () => {
      const result = await take('incremental');
      expect(result.locations).toEqual(['onsite', 'us', 'azure']);
      expect(result.failed.join('\n')).toMatch(/^eu: .*(connect|refused)/i);
      expect(result.summary).toMatch(/NOT at eu: /);
      const segments = [await switchSegment(lab.primary), await switchSegment(lab.primary)];
      const { listArchive } = await import('../../activities/backups/wal.js');
      const { until } = await import('../../lab/wait.js');
      for (const location of ['onsite', 'us', 'azure'])
        await until(`WAL arrives at ${location}`, async () => {
          const archive = await listArchive(host.cluster, [location], 16 * 1024 * 1024);
          return segments.every((segment) => archive.segments.includes(segment));
        });
    });

    test('a list and a verification say that it cannot be read, and go on', async () => {
      expect(Object.keys((await physical.list(host.context, 'main')).unreadable)).toEqual(['eu']);
      const found = await physical.verify(host.context).execute({ component: 'main', location: 'eu' });
      expect(found.failed.join()).toMatch(/^eu: /);
    });
  });

  test('when it comes back, it has what was archived meanwhile, and takes the next backup', async () => {
    const result = await take('full');
    expect(result, result.summary).toMatchObject({ failed: [], locations: all });
  });

  describe('restored on another host, with a state, an environment and credentials of its own', () => {
    let other: HostContext;
    beforeAll(async () => {
      const { plan, digest, directory } = await loadPlan(lab.planPath);
      const scratch = makeDirectory(join(lab.directory, 'dr1', 'scratch'), 0o700);
      const state = join(lab.directory, 'dr1', 'state');
      mkdirSync(state, { mode: 0o755 });
      // A key that the primary does not have; the passwords of the database are not known there at all.
      plan.hosts['dr1'] = { region: 'elsewhere', scratch };
      for (const [name, server] of [
        ['us', us],
        ['eu', eu],
      ] as const) {
        const { accessKeyId, secretAccessKey } = server;
        process.env[`DR_${name}_KEY`] = accessKeyId;
        process.env[`DR_${name}_SECRET`] = secretAccessKey;
        Object.assign(plan.locations[name]!.s3!, { accessKeyId: `env:DR_${name}_KEY`, secretAccessKey: `env:DR_${name}_SECRET` });
      }
      plan.databases['main']!.postgres.password = 'env:UNKNOWN_HERE';
      plan.databases['main']!.backups.restoreTest = { host: 'dr1' };
      other = { plan, planDirectory: directory, planDigest: digest, host: 'dr1', state };
    });

    test.each(all)('from %s alone, to the end of its WAL; the copy is gone afterwards and the record says how fast', async (location) => {
      await host.beat();
      const [newest] = await labelsAt(location);
      const tested = await physical.testRestore(other).execute({ component: 'main', id: newest!, location, run: `dr-${location}` });
      expect(tested, tested.summary).toMatchObject({ id: newest, location, doubts: [] });
      expect(tested.summary).toMatch(/sound: pg_amcheck/);
      expect(readdirSync(join(lab.directory, 'dr1', 'scratch'))).toEqual([]);
      const record = (await listed()).find((one) => one.location === location && one.id === newest)!;
      expect(record.restored).toMatchObject({ host: 'dr1', seconds: tested.seconds });
    });

    test('an older one too', async () => {
      const oldest = (await labelsAt('us')).at(-1)!;
      const tested = await physical.testRestore(other).execute({ component: 'main', id: oldest, location: 'us', run: 'dr-old' });
      expect(tested.id).toBe(oldest);
    });

    test('it can list and verify there, and touches no database: there is none', async () => {
      expect((await listed(other)).length).toBeGreaterThan(10);
      await expect(stopWrites(other).execute({ database: 'main', incident: 'x' })).rejects.toThrow(/not on host dr1/);
      await expect(take('full', other)).rejects.toThrow(/not on host dr1/);
    });

    test('beside the live database, on its own host', async () => {
      const [newest] = await labelsAt('onsite');
      const tested = await physical
        .testRestore(host.context)
        .execute({ component: 'main', id: newest!, location: 'onsite', run: 'beside' });
      expect(tested.doubts).toEqual([]);
      expect(readdirSync(join(lab.primary.dataDirectory, '..')).filter((name) => /restored/.test(name))).toEqual([]);
      expect(lab.primary.isRunning()).toBe(true);
    });
  });

  test('a bucket that lost its backups is not filled anew', async () => {
    rmSync(join(eu.bucketDirectory('backups-eu'), 'insight'), { recursive: true });
    const result = await take('incremental');
    expect(result.failed.join('\n')).toMatch(/^eu: its backups are not there any more: is s3:\/\/backups-eu\/insight\/db still the one/m);
    expect(result.locations).toEqual(['onsite', 'us', 'azure']);
  });

  test('an SFTP server needs a newer pgBackRest: the failure says so, and the others go on', async () => {
    const context = withPlan(host, (plan) => {
      plan.locations['far'] = {
        sftp: { host: 'localhost', port: 22, user: 'backup', directory: '/srv', privateKey: 'file:/nowhere', hostKey: 'ssh-ed25519 AAAA' },
      };
      plan.databases['main']!.backups.physical!.locations = ['onsite', 'far'];
    });
    const result = await take('incremental', context);
    expect(result.locations).toEqual(['onsite']);
    expect(result.failed.join()).toMatch(/far: .*SFTP.* since 2\.46, and db1 has pgBackRest 2\.4\d/);
  });
});
