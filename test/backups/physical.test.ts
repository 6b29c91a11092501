import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { configFile } from '../../activities/backups/engines/pgbackrest-config.js';
import { physical } from '../../activities/backups/physical.js';
import type { HostContext } from '../../activities/context.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { damageBackup } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import type { Azurite } from '../../lab/servers/azurite.js';
import type { Versitygw } from '../../lab/servers/versitygw.js';
import { burst } from '../../lab/shop.js';
import { loadPlan } from '../../plan/load.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { type Host, hostOf } from '../helpers/host.js';
import { azureLocation, makeStores, s3Keys, s3Location } from '../helpers/stores.js';

/** One database at three places at once, each with everything: a directory, S3, Azure. */
describe('physical backups at every kind of location', { timeout: 900_000 }, () => {
  const all = ['onsite', 'us', 'azure'];
  const stores = makeStores();
  let lab: Lab | undefined;
  let host: Host;
  let us: Versitygw & { bucket: string };
  let azure: Azurite;
  let runs = 0;

  const take = (type: 'full' | 'differential' | 'incremental', context = host.context) =>
    backupPhysical(context).execute({ component: 'main', type, run: `run-${(runs += 1)}` });
  const listed = async (context = host.context): Promise<BackupRecord[]> =>
    (await physical.list(context, 'main')).backups;
  const labelsAt = async (location: string) =>
    (await listed()).filter((one) => one.location === location).map(({ id }) => id);
  const database = () => lab!.primary;

  beforeAll(async () => {
    [us, azure] = await Promise.all([stores.s3('us'), stores.azure()]);
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 100 },
      env: { ...s3Keys(us, 'US'), AZURE_KEY: azure.key },
      plan: (plan) => {
        Object.assign(plan.locations, { us: s3Location(us, 'US'), azure: azureLocation(azure) });
        plan.databases['main']!.backups.physical!.locations = all;
      },
    });
    host = await hostOf(lab);
  }, 900_000);
  afterAll(async () => {
    try {
      await lab?.stop();
    } finally {
      stores.stop();
    }
  });

  test('full, differential and incremental ones, verified at each when they were taken, with a record beside each', async () => {
    const full = await take('full');
    expect(full, full.summary).toMatchObject({ failed: [], locations: all });
    for (const type of ['differential', 'incremental'] as const) {
      await burst(database(), 5);
      expect((await take(type)).failed).toEqual([]);
    }
    const backups = await listed();
    for (const location of all) {
      const here = backups.filter((one) => one.location === location);
      expect(
        here.map(({ type }) => type),
        location,
      ).toEqual(['incremental', 'differential', 'full']);
      expect(here[0], location).toMatchObject({
        ...{ system: lab!.system, kind: 'physical', component: 'main', compression: 'zstd', encryption: 'pgbackrest' },
        basedOn: here[1]!.id,
        tools: {
          pgbackrest: expect.stringMatching(/^2\./) as string,
          postgresql: expect.stringMatching(/^15/) as string,
        },
        wal: { start: expect.stringMatching(/^[0-9A-F]{24}$/) as string },
      });
      expect(here[2]!.size).toBeGreaterThan(1_000_000);
      for (const { id, verified } of here) expect(verified, `${id} at ${location} is verified`).toBeDefined();
    }
    const records = join(us.bucketDirectory(us.bucket), 'insight/db/lifeboat', lab!.system, 'physical/main');
    const record = join(records, `${(await labelsAt('us'))[2]}.meta.json`);
    expect(JSON.parse(readFileSync(record, 'utf8'))).toMatchObject({
      type: 'full',
      location: 'us',
      database: database().database,
    });
  });

  test('a store has bundles, not an object for each file of the database', async () => {
    const [label] = (await labelsAt('us')).slice(-1);
    const folder = join(us.bucketDirectory(us.bucket), 'insight/db/backup', host.cluster.stanza, label!);
    expect(
      readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length,
    ).toBeLessThan(20);
  });

  test('no secret is on a command line, and the configuration is for the owner of the data alone', async () => {
    const { mode, uid } = statSync(configFile(host.cluster));
    expect(mode & 0o777).toBe(0o600);
    if (process.getuid?.() === 0) expect(uid).not.toBe(0);
    const [command] = await database().sql<{ archive_command: string }>('SHOW archive_command');
    for (const secret of [us.secretAccessKey, azure.key, ...lab!.secrets])
      expect(command!.archive_command).not.toContain(secret);
  });

  test('every file at every location is verified', async () => {
    const found = await physical.verify(host.context).execute({ component: 'main' });
    expect(found, found.summary).toMatchObject({ sound: 9, damaged: [], failed: [] });
  });

  test.each(['flip', 'truncate', 'delete'] as const)(
    '%s a bundle: it is named, with a file in it and those based on it',
    async (how) => {
      const [incremental, , full] = await labelsAt('us');
      const bucket = join(us.bucketDirectory(us.bucket), 'insight/db');
      const bundle = join(bucket, 'backup', host.cluster.stanza, full!, 'bundle/1');
      copyFileSync(bundle, join(stores.directory, 'bundle'));
      expect(damageBackup(bucket, how, new RegExp(`/${full}/bundle/1$`))).toEqual([bundle]);
      const found = await physical.verify(host.context).execute({ component: 'main', location: 'us' });
      renameSync(join(stores.directory, 'bundle'), bundle);
      expect(
        found.damaged.find(({ id }) => id === full),
        JSON.stringify(found),
      ).toMatchObject({
        file: relative(bucket, bundle),
        why: expect.stringMatching(/^(invalid checksum|file missing|it cannot be read): pg_data\/\S+ in it/) as string,
      });
      expect(found.damaged.length, 'a few lines, however many files are in it').toBeLessThan(10);
      expect(found.damaged.map(({ id }) => id)).toContain(incremental);
      expect((await physical.verify(host.context).execute({ component: 'main', location: 'us' })).sound, 'mended').toBe(
        3,
      );
    },
  );

  describe('restored on another host, with a state, an environment and credentials of its own', () => {
    let other: HostContext;
    let scratch: string;
    beforeAll(async () => {
      const { plan, digest, directory } = await loadPlan(lab!.planPath);
      scratch = makeDirectory(join(lab!.directory, 'dr1', 'scratch'), 0o700);
      const state = join(lab!.directory, 'dr1', 'state');
      mkdirSync(state, { mode: 0o755 });
      // Keys by names that the primary does not have; the passwords of the database are not known there at all.
      plan.hosts['dr1'] = { region: 'elsewhere', scratch };
      Object.assign(process.env, s3Keys(us, 'DR'));
      Object.assign(plan.locations['us']!.s3!, { accessKeyId: 'env:DR_KEY', secretAccessKey: 'env:DR_SECRET' });
      plan.databases['main']!.postgres.password = 'env:UNKNOWN_HERE';
      plan.databases['main']!.backups.restoreTest = { host: 'dr1' };
      other = { plan, planDirectory: directory, planDigest: digest, host: 'dr1', state };
    });

    test.each(all)(
      'from %s alone, to the end of its WAL; the copy is gone afterwards and the record says how fast',
      async (location) => {
        await host.beat();
        const [newest] = await labelsAt(location);
        const tested = await physical
          .testRestore(other)
          .execute({ component: 'main', id: newest!, location, run: `dr-${location}` });
        expect(tested, tested.summary).toMatchObject({ id: newest, location, doubts: [] });
        expect(tested.summary).toMatch(/sound: amcheck/);
        expect(readdirSync(scratch)).toEqual([]);
        const record = (await listed()).find((one) => one.location === location && one.id === newest)!;
        expect(record.restored).toMatchObject({ host: 'dr1', seconds: tested.seconds });
      },
    );

    test('an older one too', async () => {
      const oldest = (await labelsAt('us')).at(-1)!;
      const tested = await physical
        .testRestore(other)
        .execute({ component: 'main', id: oldest, location: 'us', run: 'dr-old' });
      expect(tested.id).toBe(oldest);
    });

    test('it can list there, and touches no database: there is none', async () => {
      expect(await listed(other)).toHaveLength(9);
      await expect(stopWrites(other).execute({ database: 'main', incident: 'x' })).rejects.toThrow(/not on host dr1/);
      await expect(take('full', other)).rejects.toThrow(/not on host dr1/);
    });

    test('beside the live database, on its own host', async () => {
      const [id] = await labelsAt('onsite');
      const request = { component: 'main', id: id!, location: 'onsite', run: 'beside' };
      expect((await physical.testRestore(host.context).execute(request)).doubts).toEqual([]);
      expect(readdirSync(join(database().dataDirectory, '..')).filter((name) => /restored/.test(name))).toEqual([]);
      expect(database().isRunning()).toBe(true);
    });
  });
});
