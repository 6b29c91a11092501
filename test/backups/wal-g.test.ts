import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { engineOf } from '../../activities/backups/engines.js';
import { physical } from '../../activities/backups/physical.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import { startVersitygw, type Versitygw } from '../../lab/servers/versitygw.js';
import { burst } from '../../lab/shop.js';
import { findTool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { type Host, hostOf, switchSegment, withPlan } from '../helpers/host.js';
import { endLab, protect, ran, recover } from '../helpers/incident.js';

const missing = !findTool('wal-g');
const why = missing ? ' (skipped: wal-g is not on PATH)' : '';

/** One database at S3 and in a directory, by WAL-G. */
describe.skipIf(missing)(`WAL-G, backups${why}`, { timeout: 900_000 }, () => {
  const all = ['s3', 'onsite'];
  const servers = mkdtempSync(join(tmpdir(), 'lifeboat-servers-'));
  let lab: Lab;
  let host: Host;
  let s3: Versitygw;
  let runs = 0;

  const take = (type: 'full' | 'differential' | 'incremental', context = host.context, run = `run-${(runs += 1)}`) =>
    backupPhysical(context).execute({ component: 'main', type, run });
  const listed = async (): Promise<BackupRecord[]> => (await physical.list(host.context, 'main')).backups;
  const at = async (location: string) => (await listed()).filter((one) => one.location === location);
  const folder = (location: string) =>
    join(
      location === 's3' ? join(s3.bucketDirectory('backups'), 'db') : lab.locations['onsite']!,
      'wal-g',
      host.cluster.stanza,
    );
  const verify = (location: string) =>
    physical.verify(host.context).execute({ component: 'main', location, run: 'verify' } as never);

  beforeAll(async () => {
    s3 = await startVersitygw({
      directory: servers,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      buckets: ['backups'],
    });
    lab = await walgLab(s3, { temporal: 'none' });
    host = await hostOf(lab);
  }, 900_000);
  afterAll(async () => {
    await lab.stop();
    await s3.stop();
    rmSync(servers, { recursive: true, force: true });
  });

  test('full, incremental and differential ones, read back, with a record beside each; a run is not taken twice', async () => {
    const full = await take('full');
    expect(full, full.summary).toMatchObject({ failed: [], locations: all });
    await burst(lab.primary, 5);
    const incremental = await take('incremental');
    expect(incremental.failed).toEqual([]);
    expect(await take('incremental', host.context, `run-${runs}`)).toMatchObject({ id: incremental.id, failed: [] });
    await burst(lab.primary, 5);
    expect((await take('incremental')).failed).toEqual([]);
    expect((await take('differential')).failed).toEqual([]);
    for (const location of all) {
      const here = await at(location);
      expect(
        here.map(({ type }) => type),
        location,
      ).toEqual(['differential', 'incremental', 'incremental', 'full']);
      expect(here[1], location).toMatchObject({
        ...{
          system: lab.system,
          kind: 'physical',
          component: 'main',
          compression: 'zstd',
          encryption: 'none',
          basedOn: here[2]!.id,
        },
        ...{ tools: { 'wal-g': expect.any(String) as string, postgresql: expect.stringMatching(/^\d/) as string } },
        ...{ verified: { at: expect.any(String) as string }, rows: { orders: expect.any(Number) as number } },
      });
      expect(here[0]!.basedOn, location).toBe(here[3]!.id);
      expect(here[3]!.size, location).toBeGreaterThan(500_000);
      expect(readdirSync(join(folder(location), 'wal_005')).join(' ')).toContain(here[0]!.wal!.stop);
    }
  });

  test('secrets are in files of the owner of the data alone, and not in the command of PostgreSQL', async () => {
    const command = engineOf(host.cluster).archiveCommand(host.cluster);
    const [row] = await lab.primary.sql<{ archive_command: string }>('show archive_command');
    expect(row!.archive_command).toBe(command);
    const files = [...command.matchAll(/'([^']+\.json)'/g)].map(([, file]) => file!);
    expect(files).toHaveLength(2);
    for (const file of files) expect(statSync(file).mode & 0o777, file).toBe(0o600);
    expect(readFileSync(files[0]!, 'utf8')).toContain(s3.secretAccessKey);
    expect(command).not.toContain(s3.secretAccessKey);
  });

  test('one is restored from each location, with the WAL that came after it, and verified', async () => {
    for (const location of all) {
      const [newest] = await at(location);
      await host.beat();
      await switchSegment(lab.primary);
      const { id } = newest!;
      const result = await physical
        .testRestore(host.context)
        .execute({ component: 'main', id, location, run: `test-${location}` });
      expect(result.summary, location).toMatch(/recovered to .*, timeline 2/);
      expect(result.doubts, location).toEqual([]);
    }
    expect((await at('s3'))[0]).toMatchObject({ restored: { host: 'db1' } });
  });

  test('what is damaged is named: a part of a backup, what is based on it, WAL', async () => {
    const [differential, , incremental, full] = await at('s3');
    expect(await verify('s3')).toMatchObject({ sound: 4, damaged: [] });
    const parts = join(folder('s3'), 'basebackups_005', incremental!.id, 'tar_partitions');
    const part = join(
      parts,
      readdirSync(parts).find((name) => name.startsWith('part_'))!,
    );
    const before = readFileSync(part);
    truncateSync(part, before.length - 100);
    const wal = join(
      folder('s3'),
      'wal_005',
      readdirSync(join(folder('s3'), 'wal_005')).find((name) => name.startsWith(full!.wal!.start))!,
    );
    const segment = readFileSync(wal);
    const broken = Buffer.from(segment);
    broken.fill(0x55, Math.floor(broken.length / 2));
    writeFileSync(wal, broken);
    const found = await verify('s3');
    expect(found.failed, 'damage is no failure of the location').toEqual([]);
    const damaged = found.damaged.map(({ id, file }) => `${id} ${file}`).join('\n');
    expect(damaged).toContain(`${incremental!.id} wal-g/`);
    expect(damaged).toContain(`/wal_005/${full!.wal!.start}`);
    // The second incremental one is based on the first.
    expect((await at('s3')).filter((one) => one.damaged).map(({ id }) => id)).toContain((await at('s3'))[1]!.id);
    expect((await at('s3'))[0]!.damaged, differential!.id).toBeUndefined();
    writeFileSync(part, before);
    writeFileSync(wal, segment);
    expect(await verify('s3')).toMatchObject({ sound: 4, damaged: [] });
  });

  test('killed in the middle of its push, the next attempt of the same run completes', async () => {
    const running = join(host.context.state, 'running');
    const ledgers = () =>
      readdirSync(host.context.state, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('wal-g-backup-push.running'),
      );
    const taking = take('full', host.context, 'killed');
    const [file] = await until('wal-g pushes', () => (ledgers().length > 0 ? ledgers() : undefined), 60, 2);
    const pid = Number(readFileSync(join(host.context.state, file!), 'utf8').split(' ')[0]);
    process.kill(-pid, 'SIGKILL');
    const first = await taking.catch((error: unknown) => error as Error);
    expect(first instanceof Error ? first.message : first.failed.join(), running).toMatch(/ended with code 137/);
    const again = await take('full', host.context, 'killed');
    expect(again, again.summary).toMatchObject({ failed: [], locations: all });
    expect((await at('s3')).filter(({ run }) => run === 'killed')).toHaveLength(1);
  });

  test('while a location is away the other goes on with WAL and backups, and the first catches up', async () => {
    await s3.kill9();
    const segments: string[] = [];
    for (let n = 0; n < 4; n += 1) segments.push(await switchSegment(lab.primary));
    const there = (location: string) => {
      const names = readdirSync(join(folder(location), 'wal_005')).map((name) => name.slice(0, 24));
      return segments.every((segment) => names.includes(segment));
    };
    const result = await take('incremental');
    expect(result.locations).toEqual(['onsite']);
    expect(result.failed.join()).toMatch(/^s3: /);
    await until('the WAL is at the location that answers', () => there('onsite'), 180);
    await s3.restart();
    await until('the WAL is at the one that was away', () => there('s3'), 180);
    expect((await take('full')).failed).toEqual([]);
  });

  test('what is removed is gone with what only it needed; the rest can be verified', async () => {
    const old = (await at('onsite')).slice(-4).map(({ id }) => id);
    await physical.remove(host.context, 'main', 'onsite', old);
    const left = await at('onsite');
    expect(left.map(({ id }) => id)).not.toEqual(expect.arrayContaining([old[0]]));
    const oldest = left.map(({ wal }) => wal!.start).sort()[0]!;
    const wal = readdirSync(join(folder('onsite'), 'wal_005')).filter((name) => /^[0-9A-F]{24}\.zst$/.test(name));
    expect(wal.filter((name) => name.slice(0, 24) < oldest)).toEqual([]);
    expect(await verify('onsite')).toMatchObject({ damaged: [], sound: left.length });
  });

  test('an encrypted location gets encrypted backups or none', async () => {
    const directory = makeDirectory(join(lab.directory, 'encrypted'));
    const context = withPlan(host, (plan) => {
      plan.locations['safe'] = { directory, encryption: 'env:BACKUP_PASSPHRASE' };
      plan.databases['main']!.backups.physical!.locations = ['safe'];
    });
    const result = await take('full', context).catch((error: unknown) => error as Error);
    if (result instanceof Error)
      expect(result.message).toMatch(/location safe is encrypted, and the wal-g of db1 was built without libsodium/);
    else expect(result.failed).toEqual([]);
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(
      (one) => one.isFile() && one.name.endsWith('.zst'),
    );
    for (const { parentPath, name } of files)
      expect(readFileSync(join(parentPath, name)).subarray(0, 4).toString('hex'), name).not.toBe('28b52ffd');
  });
});

describe.skipIf(missing)(`WAL-G, an incident${why}`, { timeout: 900_000 }, () => {
  const servers = mkdtempSync(join(tmpdir(), 'lifeboat-servers-'));
  let lab: Lab | undefined;
  let s3: Versitygw;
  afterAll(async () => {
    await endLab(lab);
    await s3.stop();
    rmSync(servers, { recursive: true, force: true });
  });

  test('a database is recovered to a moment, put in place, and protected again', async () => {
    s3 = await startVersitygw({
      directory: servers,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      buckets: ['backups'],
    });
    lab = await walgLab(s3, { service: true });
    await protect(lab);
    await burst(lab.primary, 5);
    const [before] = await lab.primary.sql<{ orders: number }>('select count(*)::int as orders from orders');
    const to = new Date().toISOString();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await lab.primary.sql('delete from payments');
    await lab.primary.sql('delete from orders');
    await burst(lab.primary, 2);
    const state = await recover(lab, { to });
    expect(state.phase).toBe('recovered');
    const [after] = await lab.primary.sql<{ orders: number }>('select count(*)::int as orders from orders');
    expect(after!.orders).toBeGreaterThanOrEqual(before!.orders);
    const taken = JSON.parse(await ran(lab, ['backup', 'list', '--json'])) as { backups: BackupRecord[] };
    expect(taken.backups[0]!.id, 'a backup of the new timeline').toMatch(/^base_00000002/);
  });
});

/** Its first location is S3, its second a directory. */
async function walgLab(s3: Versitygw, options: Parameters<typeof createLab>[0]): Promise<Lab> {
  return createLab({
    ...{ fast: true, rows: 200, service: false, ...options },
    env: { S3_KEY: s3.accessKeyId, S3_SECRET: s3.secretAccessKey },
    plan: (plan) => {
      delete plan.locations['onsite']!.encryption;
      plan.locations['s3'] = {
        s3: {
          ...{
            bucket: 'backups',
            region: s3.region,
            prefix: 'db',
            endpoint: s3.endpoint.replace('127.0.0.1', 'localhost'),
            pathStyle: true,
          },
          ...{ caFile: s3.caFile, accessKeyId: 'env:S3_KEY', secretAccessKey: 'env:S3_SECRET' },
        },
      };
      plan.databases['main']!.backups.physical = { engine: 'wal-g', locations: ['s3', 'onsite'], keep: { full: 7 } };
    },
  });
}
