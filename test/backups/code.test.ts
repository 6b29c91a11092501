import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { code } from '../../activities/backups/code/code.js';
import type { HostContext } from '../../activities/context.js';
import { hostWith, makeGround } from '../helpers/backups.js';

const ground = makeGround();
afterAll(() => ground.destroy());
process.env['LIFEBOAT_TEST_CODE'] = 'a passphrase';

const git = (directory: string, ...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-C', directory, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();

function commit(repository: string, file: string): void {
  writeFileSync(join(repository, file), `${file}\n`);
  git(repository, 'add', '--', file);
  git(repository, 'commit', '-q', '-m', `add ${file}`);
}

const refs = (directory: string) => git(directory, 'for-each-ref', '--format=%(objectname) %(refname)');

describe('code', () => {
  const app = ground.path("re po's", 'größe "app"');
  const empty = ground.path('empty');
  const [first, second] = [ground.path('first'), ground.path('second')];
  let host: HostContext;
  const take = (run: string, on = host) => code.take(on).execute({ component: 'all', type: 'code', run });
  const plan = {
    locations: { first: { directory: first }, second: { directory: second, encryption: 'env:LIFEBOAT_TEST_CODE' } },
    code: { all: { host: 'app1', repositories: { app, docs: empty }, locations: ['first', 'second'] } },
  };

  beforeAll(() => {
    for (const directory of [app, empty, first, second]) mkdirSync(directory, { recursive: true });
    for (const directory of [app, empty]) git(directory, 'init', '-q', '-b', 'main');
    commit(app, '-dash file');
    commit(app, 'größe ☕');
    git(app, 'branch', 'feature/größe-"x"');
    git(app, 'tag', '-a', 'v1', '-m', 'the first');
    git(app, 'update-ref', 'refs/heads/-leading', 'HEAD');
    host = hostWith(ground, plan);
  });

  it('is bundled with all branches and tags, sealed where the location says so, verified, cloned and restored on another host', async () => {
    const taken = await take('run-1');
    expect(taken).toMatchObject({ locations: ['first', 'second'], failed: [] });
    expect(taken.summary).toContain('empty, so without a bundle: docs');
    expect(await take('run-1')).toMatchObject({ id: taken.id });
    expect(existsSync(join(first, `lifeboat/shop/code/all/${taken.id}/app.bundle`))).toBe(true);
    const sealed = readFileSync(join(second, `lifeboat/shop/code/all/${taken.id}/app.bundle.age`));
    expect(sealed.toString('latin1')).toMatch(/^age-encryption.org\/v1\n/);
    expect(await code.verify(host).execute({ component: 'all' })).toMatchObject({ sound: 2, damaged: [], failed: [] });

    const other = hostWith(ground, { ...plan, hosts: { app1: { region: 'a' }, dr1: { region: 'b' } } }, 'dr1');
    const tested = await code
      .testRestore(other)
      .execute({ component: 'all', id: taken.id, location: 'second', run: 'test-1' });
    expect(tested.doubts).toEqual([]);
    expect(readdirSync(other.state).filter((name) => name.includes('scratch'))).toEqual([]);
    const into = ground.path('restored');
    const request = { component: 'all', id: taken.id, location: 'second', into, run: 'restore-1' };
    await code.restore!(other).execute(request);
    await code.restore!(other).execute(request);
    expect(refs(join(into, 'app'))).toBe(refs(app));
    expect(readFileSync(join(into, 'app', '-dash file'), 'utf8')).toBe('-dash file\n');
    expect(git(join(into, 'app'), 'status', '--porcelain')).toBe('');
    expect(git(join(into, 'app'), 'remote', 'get-url', 'origin')).toBe(app);
    await expect(code.restore!(other).execute({ ...request, run: 'restore-2' })).rejects.toMatchObject({
      type: 'BadRequest',
    });
  });

  it('follows what was pushed, rewritten and removed since, with a mirror that a killed fetch has left in disorder', async () => {
    git(app, 'branch', '-D', 'feature/größe-"x"');
    git(app, 'commit', '-q', '--amend', '-m', 'rewritten');
    const folder = join(host.state, 'code/all');
    const mirror = readdirSync(folder).find((name) => /^app-.*\.git$/.test(name))!;
    writeFileSync(join(folder, mirror, 'packed-refs.lock'), '');
    writeFileSync(join(folder, mirror, 'refs/heads/main.lock'), '');
    const check = async (run: string) => {
      const { id } = await take(run);
      const into = ground.path(run);
      await code.restore!(host).execute({ component: 'all', id, into, run: `restore ${run}` });
      expect(refs(join(into, 'app'))).toBe(refs(app));
    };
    await check('run-2');
    // A mirror that is broken is made anew.
    rmSync(join(folder, mirror, 'objects'), { recursive: true });
    await check('run-3');
  });

  it('damaged at a location is found by name, and the other location is used', async () => {
    const { id } = await take('run-4');
    const bundle = join(first, `lifeboat/shop/code/all/${id}/app.bundle`);
    const bytes = readFileSync(bundle);
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(bundle, bytes);
    const unnoticed = await code.restore!(host).execute({
      component: 'all',
      id,
      into: ground.path('unnoticed'),
      run: 'restore-3b',
    });
    expect(unnoticed.summary).toMatch(/from second is in .*; NOT from first: .*app\.bundle/);
    // Two records of the second location are swapped.
    const folder = join(second, 'lifeboat/shop/code/all');
    const [a, b] = readdirSync(folder).filter((name) => name.endsWith('.meta.json') && !name.startsWith(id));
    renameSync(join(folder, a!), join(folder, 'x'));
    renameSync(join(folder, b!), join(folder, a!));
    renameSync(join(folder, 'x'), join(folder, b!));
    const { damaged } = await code.verify(host).execute({ component: 'all' });
    expect(damaged.map(({ location, file }) => `${location} ${file}`).sort()).toEqual([
      `first lifeboat/shop/code/all/${id}/app.bundle`,
      ...[a, b].map((name) => `second lifeboat/shop/code/all/${name}`).sort(),
    ]);
    const into = ground.path('from the other');
    const restored = await code.restore!(host).execute({ component: 'all', id, into, run: 'restore-4' });
    expect(restored.summary).toContain('from second');
    await code.remove(host, 'all', 'first', [id]);
    await code.remove(host, 'all', 'first', [id]);
    expect(existsSync(bundle)).toBe(false);
    expect(
      (await code.list(host, 'all')).backups.filter((one) => one.id === id).map(({ location }) => location),
    ).toEqual(['second']);
  });

  it('that cannot be fetched fails with its name, and without the password of its address', async () => {
    const gone = hostWith(ground, {
      ...plan,
      code: { all: { ...plan.code.all, repositories: { app: 'https://someone:hunter2@127.0.0.1:9/nothing.git' } } },
    });
    const failing = take('run-5', gone);
    await expect(failing).rejects.toThrow(/git clone/);
    await expect(failing).rejects.not.toThrow(/hunter2/);
  });
});
