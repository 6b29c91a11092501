import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redis } from '../../activities/backups/redis/redis.js';
import type { HostContext } from '../../activities/context.js';
import { startChild } from '../../lab/child.js';
import { freePort } from '../../lab/ports.js';
import { tool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import { hostWith, makeGround } from '../helpers/backups.js';

const ground = makeGround();
afterAll(() => ground.destroy());
process.env['LIFEBOAT_TEST_REDIS'] = 'it\'s "a" password';

const password = process.env['LIFEBOAT_TEST_REDIS'];
const cli = (port: number, ...words: string[]) =>
  execFileSync(tool('redis-cli'), ['-p', String(port), ...words], {
    env: { ...process.env, REDISCLI_AUTH: password },
    encoding: 'utf8',
  }).trim();

/** A server with a configuration file, a password and AOF off. */
async function startRedis(directory: string): Promise<number> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const config = join(directory, 'redis.conf');
  const quoted = password.replace(/["\\]/g, '\\$&');
  writeFileSync(config, [`port ${port}`, `dir "${directory}"`, 'save ""', `requirepass "${quoted}"`, ''].join('\n'), {
    mode: 0o600,
  });
  await startChild({
    program: tool('redis-server'),
    args: [config],
    cwd: directory,
    env: ground.env,
    log: join(directory, 'redis.log'),
  });
  await until('Redis answers', () => cli(port, 'PING') === 'PONG', 60);
  return port;
}

describe('a Redis server', () => {
  let port: number;
  let host: HostContext;
  const backups = ground.path('backups');
  const take = (run: string) => redis.take(host).execute({ component: 'cache', type: 'redis', run });

  beforeAll(async () => {
    port = await startRedis(ground.path('re dis'));
    mkdirSync(backups);
    host = hostWith(ground, {
      locations: { there: { directory: backups, encryption: 'env:LIFEBOAT_TEST_REDIS' } },
      redis: { cache: { host: 'app1', port, password: 'env:LIFEBOAT_TEST_REDIS', locations: ['there'] } },
    });
    cli(port, 'EVAL', "for i = 1, 1000 do redis.call('SET', 'key ' .. i, string.rep('x', 100)) end", '0');
    cli(port, '-n', '3', 'SET', 'other', 'space', 'EX', '3600');
  });

  it('is saved with AOF kept on, read back, loaded by a server of its own, and restored into a directory', async () => {
    const taken = await take('run-1');
    expect(taken).toMatchObject({ locations: ['there'], failed: [] });
    expect(taken.summary).toContain('AOF was off and is on now');
    expect(cli(port, 'CONFIG', 'GET', 'appendonly')).toContain('yes');
    expect(readFileSync(ground.path('re dis', 'redis.conf'), 'utf8')).toContain('appendonly yes');
    const [record] = (await redis.list(host, 'cache')).backups;
    expect(record).toMatchObject({ id: taken.id, rows: { keys: 1001 }, encryption: 'restic' });

    const tested = await redis
      .testRestore(host)
      .execute({ component: 'cache', id: taken.id, location: 'there', run: 'test-1' });
    expect(tested).toMatchObject({ doubts: [] });
    expect(tested.summary).toContain('1001 keys');
    expect(readdirSync(host.state).filter((name) => name.includes('scratch'))).toEqual([]);

    const into = ground.path('restored');
    const request = { component: 'cache', id: taken.id, into, run: 'restore-1' };
    expect((await redis.restore!(host).execute(request)).summary).toContain('redis-server --dir');
    expect(await redis.restore!(host).execute(request)).toMatchObject({ into });
    expect(readdirSync(into)).toEqual(['dump.rdb']);
    await expect(
      redis.restore!(host).execute({ component: 'cache', id: taken.id, dropExisting: true, run: 'x' }),
    ).rejects.toMatchObject({
      type: 'BadRequest',
    });
  });

  it('is saved anew by each run, even while a save runs already, and the same run does not take it twice', async () => {
    cli(port, 'SET', 'new', '1');
    cli(port, 'BGSAVE');
    const [taken] = await Promise.all([take('run-2')]);
    expect(await take('run-2')).toMatchObject({ id: taken.id });
    const [record] = (await redis.list(host, 'cache')).backups;
    expect(record).toMatchObject({ id: taken.id, rows: { keys: 1002 } });
  });

  it('damaged in the repository is found, and is not restored', async () => {
    const taken = await take('run-3');
    const data = join(backups, 'restic/data');
    const packs = readdirSync(data).flatMap((part) =>
      readdirSync(join(data, part)).map((name) => join(data, part, name)),
    );
    for (const pack of packs) {
      const bytes = readFileSync(pack);
      bytes[60]! ^= 1;
      chmodSync(pack, 0o600);
      writeFileSync(pack, bytes);
    }
    const { damaged } = await redis.verify(host).execute({ component: 'cache' });
    expect(damaged.find(({ id }) => id === taken.id)).toMatchObject({
      location: 'there',
      file: expect.stringMatching(/^restic\/data\//) as string,
    });
    const request = { component: 'cache', id: taken.id, into: ground.path('not restored'), run: 'restore-2' };
    await expect(redis.restore!(host).execute(request)).rejects.toMatchObject({ type: 'BackupDamaged' });
    expect(existsSync(request.into)).toBe(false);
  });

  it('whose password is wrong, or that is away, fails with its words and no secret', async () => {
    process.env['LIFEBOAT_TEST_WRONG'] = 'not-the-password';
    const change = (more: object) => ({
      ...host,
      plan: { ...host.plan, redis: { cache: { ...host.plan.redis['cache']!, ...more } } },
    });
    const wrong = redis
      .take(change({ password: 'env:LIFEBOAT_TEST_WRONG' }))
      .execute({ component: 'cache', type: 'redis', run: 'run-4' });
    await expect(wrong).rejects.toThrow(/WRONGPASS|NOAUTH/);
    await expect(wrong).rejects.not.toThrow(/not-the-password/);
    const away = redis
      .take(change({ port: await freePort() }))
      .execute({ component: 'cache', type: 'redis', run: 'run-5' });
    await expect(away).rejects.toThrow(/Could not connect|refused/);
  });
});
