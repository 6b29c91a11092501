import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { HostContext } from '../../activities/context.js';
import { files } from '../../activities/backups/files/files.js';
import { repositoryOf } from '../../activities/backups/restic/repository.js';
import { checkout } from '../../lab/root.js';
import { until } from '../../lab/wait.js';
import {
  digestOf,
  hostWith,
  locksOf,
  makeGround,
  makeUploads,
  packsOf,
  treeOf,
  uploadsAt,
} from '../helpers/backups.js';

const ground = makeGround();
afterAll(() => ground.destroy());

const passphrase = { encryption: 'env:LIFEBOAT_TEST_FILES' };
process.env['LIFEBOAT_TEST_FILES'] = 'it\'s "a" passphrase';

const take = (host: HostContext, run: string) => files.take(host).execute({ component: 'uploads', type: 'files', run });

describe('files', { timeout: 900_000 }, () => {
  const plan = (name: string, paths: string[], names = ['there']) => {
    const directories = names.map((one) => ground.path(`${name}-${one}`));
    for (const directory of directories) mkdirSync(directory, { recursive: true });
    const locations = Object.fromEntries(names.map((one, at) => [one, { directory: directories[at]!, ...passphrase }]));
    return { host: hostWith(ground, { ...uploadsAt(paths, names), locations }), directories };
  };

  it('take the place of what is there, which is renamed aside; an attempt that is repeated changes nothing more', async () => {
    const uploads = makeUploads(ground.path('in place', 'uploads'), 400_000);
    const config = ground.path('in place', 'app.conf');
    writeFileSync(config, 'good');
    const { host } = plan('in-place', [uploads, config]);
    const before = treeOf(uploads);
    const { id } = await take(host, 'run-1');
    writeFileSync(config, 'bad');
    rmSync(join(uploads, 'a folder'), { recursive: true });
    const request = { component: 'uploads', id, dropExisting: true, run: 'restore-1' };
    const first = await files.restore!(host).execute(request);
    expect(treeOf(uploads)).toEqual(before);
    expect(readFileSync(config, 'utf8')).toBe('good');
    const aside = first.aside!.split(', ');
    expect(aside[0]).toMatch(/uploads\.before-\d{8}T\d{6}Z$/);
    expect(readFileSync(aside[1]!, 'utf8')).toBe('bad');
    const left = readdirSync(ground.path('in place')).sort();
    expect(await files.restore!(host).execute(request)).toMatchObject({ aside: first.aside });
    expect(readdirSync(ground.path('in place')).sort()).toEqual(left);
    expect(left.filter((name) => name.includes('lifeboat'))).toEqual([]);
    // Killed between the two renames.
    const again = { ...request, run: 'restore-2' };
    rmSync(config);
    await files.restore!(host).execute(again);
    expect(readFileSync(config, 'utf8')).toBe('good');
    expect(treeOf(uploads)).toEqual(before);
  });

  it('that are missing, links or unreadable fail by name and leave no backup', async () => {
    const uploads = makeUploads(ground.path('missing', 'uploads'), 4000);
    const link = ground.path('missing', 'link');
    symlinkSync(uploads, link);
    await expect(take(plan('missing-1', [uploads, ground.path('missing', 'not there')]).host, 'run-1')).rejects.toThrow(
      /not there is not there/,
    );
    await expect(take(plan('missing-2', [link]).host, 'run-1')).rejects.toThrow(/is a link to/);
    if (!existsSync('/proc/self/mem')) return;
    // Root reads everything, except what the kernel itself refuses.
    const { host } = plan('missing-3', ['/proc/self/attr']);
    await expect(take(host, 'run-1')).rejects.toThrow(/could be read|be read/);
    expect((await files.list(host, 'uploads')).backups).toEqual([]);
  });

  it('that a bad location cannot take are taken at the others, and a repository that is gone is not made anew', async () => {
    const uploads = makeUploads(ground.path('others', 'uploads'), 4000);
    const { host, directories } = plan('others', [uploads], ['first', 'second']);
    const one = await take(host, 'run-1');
    expect(one.locations).toEqual(['first', 'second']);
    renameSync(join(directories[0]!, 'restic'), join(directories[0]!, 'away'));
    const two = await take(host, 'run-2');
    expect(two.locations).toEqual(['second']);
    expect(two.failed[0]).toMatch(/^first: .*not there any more/);
    expect(existsSync(join(directories[0]!, 'restic'))).toBe(false);
    renameSync(join(directories[0]!, 'away'), join(directories[0]!, 'restic'));
    // What one location has of this run is not taken again, and the other catches up under the same ID.
    expect(await take(host, 'run-2')).toMatchObject({ id: two.id, locations: ['first', 'second'], failed: [] });
    const { backups } = await files.list(host, 'uploads');
    expect(backups.map(({ id, location }) => `${id} ${location}`).sort()).toEqual(
      [one.id, two.id].flatMap((id) => [`${id} first`, `${id} second`]).sort(),
    );
  });

  it('that turn out to be damaged only while they are restored come from the next location, which is said', async () => {
    const uploads = makeUploads(ground.path('unnoticed', 'uploads'), 2e6);
    const { host, directories } = plan('unnoticed', [uploads], ['first', 'second']);
    const { id } = await take(host, 'run-1');
    for (const pack of packsOf(directories[0]!)) {
      const bytes = readFileSync(pack);
      bytes[bytes.length >> 1]! ^= 1;
      chmodSync(pack, 0o600);
      writeFileSync(pack, bytes);
    }
    const before = treeOf(uploads);
    const into = ground.path('unnoticed', 'restored');
    const beside = await files.restore!(host).execute({ component: 'uploads', id, into, run: 'restore-1' });
    expect(beside.summary).toMatch(/from second is below .*; NOT from first: restic restore at first/);
    expect(treeOf(join(into, uploads))).toEqual(before);
    rmSync(join(uploads, 'a folder'), { recursive: true });
    const inPlace = await files.restore!(host).execute({
      component: 'uploads',
      id,
      dropExisting: true,
      run: 'restore-2',
    });
    expect(inPlace.summary).toMatch(/from second is in place.*; NOT from first: /);
    expect(treeOf(uploads)).toEqual(before);
    expect(readdirSync(ground.path('unnoticed')).filter((name) => name.includes('lifeboat'))).toEqual([]);
    const only = {
      component: 'uploads',
      id,
      location: 'first',
      into: ground.path('unnoticed', 'never'),
      run: 'restore-3',
    };
    await expect(files.restore!(host).execute(only)).rejects.toThrow(/restic restore at first/);
    expect(existsSync(only.into)).toBe(false);
  });

  it('damaged in the repository are found, with the file named, and another location is used', async () => {
    const uploads = makeUploads(ground.path('damage', 'uploads'), 4e6);
    const { host, directories } = plan('damage', [uploads], ['first', 'second', 'third']);
    const one = await take(host, 'run-1');
    writeFileSync(join(uploads, 'new'), randomBytes(1e6));
    const two = await take(host, 'run-2');

    // A byte of a pack that only the second backup needs; a pack that is gone; two records that were swapped.
    const largest = (packs: string[]) => packs.sort((a, b) => readFileSync(b).length - readFileSync(a).length)[0]!;
    const newest = packsOf(directories[0]!).filter(
      (path) => readFileSync(path).length > 0.9e6 && readFileSync(path).length < 1.1e6,
    );
    expect(newest).toHaveLength(1);
    const bytes = readFileSync(newest[0]!);
    bytes[500_000]! ^= 1;
    chmodSync(newest[0]!, 0o600);
    writeFileSync(newest[0]!, bytes);
    const gone = largest(packsOf(directories[1]!));
    rmSync(gone, { force: true });
    const records = readdirSync(join(directories[2]!, 'lifeboat/shop/files/uploads'))
      .filter((name) => name.endsWith('.meta.json'))
      .map((name) => join(directories[2]!, 'lifeboat/shop/files/uploads', name));
    expect(records).toHaveLength(2);
    renameSync(records[0]!, `${records[0]!}.x`);
    renameSync(records[1]!, records[0]!);
    renameSync(`${records[0]!}.x`, records[1]!);

    const { damaged, sound } = await files.verify(host).execute({ component: 'uploads' });
    const at = (location: string) =>
      damaged.filter((one) => one.location === location).map(({ id, file }) => `${id} ${file}`);
    expect(at('first')).toEqual([`${two.id} ${newest[0]!.slice(directories[0]!.length + 1)}`]);
    expect(at('second').sort()).toEqual(
      [one.id, two.id].map((id) => `${id} ${gone.slice(directories[1]!.length + 1)}`).sort(),
    );
    expect(at('third')).toHaveLength(2);
    expect(sound).toBe(1);

    const into = ground.path('damage', 'restored');
    const restored = await files.restore!(host).execute({ component: 'uploads', id: one.id, into, run: 'restore-1' });
    expect(restored.summary).toContain('from first');
    expect(digestOf(join(into, uploads, 'a folder/part 3'))).toBe(digestOf(join(uploads, 'a folder/part 3')));
    await expect(
      files.restore!(host).execute({
        component: 'uploads',
        id: two.id,
        into: ground.path('damage', 'none'),
        run: 'restore-2',
      }),
    ).rejects.toMatchObject({ type: 'BackupDamaged' });
    // A backup that would need what is gone or damaged is not taken for good.
    const { failed, locations } = await take(host, 'run-3');
    expect(failed.join('\n')).toMatch(/^first: .*restic\/data.*\nsecond: .*restic\/data/);
    expect(locations).toEqual(['third']);
  });

  it('whose agent is killed in mid-backup are taken by the next attempt, and no lock is left', async () => {
    const uploads = makeUploads(ground.path('killed', 'uploads'), 60e6);
    const { host, directories } = plan('killed', [uploads]);
    const agent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `const { files } = await import(${JSON.stringify(join(checkout, 'dist/activities/backups/files/files.js'))});
         const host = JSON.parse(process.env.HOST);
         await files.take(host).execute({ component: 'uploads', type: 'files', run: 'run-1' });`,
      ],
      {
        env: { ...ground.env, LIFEBOAT_TEST_FILES: process.env['LIFEBOAT_TEST_FILES'], HOST: JSON.stringify(host) },
        stdio: 'inherit',
      },
    );
    const ended = new Promise((resolve) => agent.once('exit', resolve));
    await until(
      'restic has sent something',
      () => existsSync(join(directories[0]!, 'restic/locks')) && locksOf(directories[0]!).length > 0,
      60,
      5,
    );
    agent.kill('SIGKILL');
    await ended;
    expect((await files.list(host, 'uploads')).backups).toEqual([]);
    const taken = await take(host, 'run-1');
    expect(taken.failed).toEqual([]);
    expect(locksOf(directories[0]!)).toEqual([]);
    expect(readdirSync(join(directories[0]!, 'restic/snapshots'))).toHaveLength(1);
    expect(await files.verify(host).execute({ component: 'uploads' })).toMatchObject({ sound: 1, damaged: [] });
  });

  it('cannot go where restic cannot reach, and it says so', async () => {
    process.env['LIFEBOAT_TEST_KEY'] = Buffer.from('key').toString('base64');
    const host = hostWith(ground, {
      locations: {
        azure: {
          azure: {
            account: 'me',
            container: 'c',
            key: 'env:LIFEBOAT_TEST_KEY',
            endpoint: 'https://127.0.0.1:10000/me',
          },
        },
        gcs: { gcs: { bucket: 'b', endpoint: 'http://127.0.0.1:9' } },
        plain: { azure: { account: 'me', container: 'c', prefix: 'a/b', key: 'env:LIFEBOAT_TEST_KEY' } },
      },
    });
    await expect(repositoryOf(host, 'azure')).rejects.toThrow(/restic cannot reach the endpoint of location azure/);
    await expect(repositoryOf(host, 'gcs')).rejects.toThrow(/restic cannot be told the endpoint/);
    const plain = await repositoryOf(host, 'plain');
    expect(plain.env).toMatchObject({
      RESTIC_REPOSITORY: 'azure:c:/a/b/restic',
      AZURE_ACCOUNT_NAME: 'me',
      RESTIC_PASSWORD: 'lifeboat',
    });
    expect(plain.args.join(' ')).not.toContain(process.env['LIFEBOAT_TEST_KEY']);
  });

  it('of two hosts that come to a new location at once are taken into one repository', async () => {
    const uploads = makeUploads(ground.path('two', 'uploads'), 4000);
    const { host, directories } = plan('two', [uploads]);
    const locations = { there: { directory: directories[0]!, ...passphrase } };
    const hosts = { app1: { region: 'a' }, app2: { region: 'b' } };
    const more = { files: { uploads: { host: 'app2', paths: [uploads], locations: ['there'] } } };
    const other = { ...hostWith(ground, { ...more, hosts, locations }, 'app2') };
    const taken = await Promise.all([take(host, 'run-1'), take(other, 'run-2')]);
    expect(taken.flatMap(({ failed }) => failed)).toEqual([]);
    expect(readdirSync(join(directories[0]!, 'restic/keys'))).toHaveLength(1);
    expect(await files.verify(host).execute({ component: 'uploads' })).toMatchObject({ damaged: [], failed: [] });
  });
});
