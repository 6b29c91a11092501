import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostContext } from '../../activities/context.js';
import { files } from '../../activities/backups/files/files.js';
import { startSshd } from '../../lab/servers/sshd.js';
import { startVersitygw } from '../../lab/servers/versitygw.js';
import type { PlanFile } from '../../plan/schema.js';
import { digestOf, hostWith, locksOf, makeGround, makeUploads, treeOf, uploadsAt } from '../helpers/backups.js';

const ground = makeGround();
afterAll(() => ground.destroy());

type Locations = PlanFile['locations'];
const passphrase = { encryption: 'env:LIFEBOAT_TEST_FILES' };
process.env['LIFEBOAT_TEST_FILES'] = 'it\'s "a" passphrase';

const take = (host: HostContext, run: string) => files.take(host).execute({ component: 'uploads', type: 'files', run });

describe.each(['directory', 's3', 'sftp'] as const)('files at a location: %s', { timeout: 900_000 }, (kind) => {
  let locations: Locations;
  let data: string;
  let uploads: string;
  let env: string;

  beforeAll(async () => {
    const at = { directory: ground.path(kind), env: ground.env };
    if (kind === 'directory') {
      data = ground.path('backups');
      mkdirSync(data);
      locations = { there: { directory: data } };
    } else if (kind === 's3') {
      const s3 = await startVersitygw({ ...at, buckets: ['backups'] });
      process.env['LIFEBOAT_TEST_S3_ID'] = s3.accessKeyId;
      process.env['LIFEBOAT_TEST_S3_KEY'] = s3.secretAccessKey;
      data = join(s3.bucketDirectory('backups'), 'some/prefix');
      const { endpoint, caFile } = s3;
      const keys = { accessKeyId: 'env:LIFEBOAT_TEST_S3_ID', secretAccessKey: 'env:LIFEBOAT_TEST_S3_KEY' };
      locations = {
        there: {
          s3: { bucket: 'backups', prefix: 'some/prefix', endpoint, caFile, pathStyle: true, ...keys },
          ...passphrase,
        },
      };
    } else {
      const { host, port, user, root: directory, keyFile, hostKey } = await startSshd(at);
      data = directory;
      locations = {
        there: { sftp: { host, port, user, directory, privateKey: `file:${keyFile}`, hostKey }, ...passphrase },
      };
    }
    uploads = makeUploads(ground.path(`srv ${kind}`, 'up loads [1]'), kind === 'directory' ? 60e6 : 4e6);
    env = ground.path(`srv ${kind}`, '.env');
    writeFileSync(env, 'SECRET=1\n');
  });

  it('are taken, listed, verified, restored to scratch and below a directory, on another host too, and removed', async () => {
    const host = hostWith(ground, { ...uploadsAt([uploads, env], ['there'], { exclude: ['*.tmp'] }), locations });
    writeFileSync(join(uploads, 'left out.tmp'), 'x');
    const taken = await take(host, 'run-1');
    expect(taken).toMatchObject({ locations: ['there'], failed: [], type: 'files' });
    expect(await take(host, 'run-1'), 'the same run again').toMatchObject({ id: taken.id });
    const listed = await files.list(host, 'uploads');
    expect(listed.unreadable).toEqual({});
    expect(listed.backups).toHaveLength(1);
    expect(listed.backups[0]).toMatchObject({
      id: taken.id,
      encryption: kind === 'directory' ? 'none' : 'restic',
      run: 'run-1',
    });
    expect(await files.verify(host).execute({ component: 'uploads' })).toMatchObject({
      sound: 1,
      damaged: [],
      failed: [],
    });

    const other = hostWith(
      ground,
      { ...uploadsAt([uploads, env], ['there']), locations, hosts: { app1: { region: 'a' }, dr1: { region: 'b' } } },
      'dr1',
    );
    const tested = await files
      .testRestore(other)
      .execute({ component: 'uploads', id: taken.id, location: 'there', run: 'test-1' });
    expect(tested.doubts).toEqual([]);
    expect(readdirSync(other.state).filter((name) => name.includes('scratch'))).toEqual([]);
    const [record] = (await files.list(host, 'uploads')).backups;
    expect(record).toMatchObject({ restored: { host: 'dr1' }, verified: {} });

    const into = ground.path(`restored ${kind}`, '-here');
    const request = { component: 'uploads', id: taken.id, into, run: 'restore-1' };
    await files.restore!(other).execute(request);
    await files.restore!(other).execute(request);
    rmSync(join(uploads, 'left out.tmp'));
    const [there, here] = [treeOf(join(into, uploads)), treeOf(uploads)];
    delete there[''];
    delete here[''];
    expect(there).toEqual(here);
    expect(digestOf(join(into, env))).toBe(digestOf(env));
    await expect(files.restore!(other).execute({ ...request, run: 'restore-2' })).rejects.toMatchObject({
      type: 'BadRequest',
    });

    const second = await take(host, 'run-2');
    await files.remove(host, 'uploads', 'there', [taken.id]);
    await files.remove(host, 'uploads', 'there', [taken.id]);
    expect((await files.list(host, 'uploads')).backups.map(({ id }) => id)).toEqual([second.id]);
    expect(await files.verify(host).execute({ component: 'uploads' })).toMatchObject({ sound: 1, damaged: [] });
    expect(locksOf(data)).toEqual([]);
  });
});
