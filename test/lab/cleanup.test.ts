import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { destroyLab, makeLabDirectory, sweep } from '../../lab/cleanup.js';
import { createLab } from '../../lab/lab.js';
import { freePort } from '../../lab/ports.js';
import { isAlive, labVariable, processesOf } from '../../lab/processes.js';
import { answers, serve } from '../../lab/servers/serve.js';
import { startSshd } from '../../lab/servers/sshd.js';
import { tool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';

/**
 * A process that makes a lab and stays; sources of the lab import each other as .js, which Node finds as .ts by this
 * hook.
 */
async function owner(): Promise<{ process: ChildProcess; directory: string }> {
  const hook = `import { registerHooks } from 'node:module';
    registerHooks({ resolve: (name, context, next) => { try { return next(name, context); } catch { return next(name.replace(/\\.js$/, '.ts'), context); } } });`;
  const script = `import { createLab } from ${JSON.stringify(new URL('../../lab/lab.ts', import.meta.url).href)};
    const lab = await createLab({ temporal: 'none', fast: true });
    console.log(lab.directory);
    setInterval(() => {}, 1000);`;
  const child = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, '--input-type=module', '--eval', script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { process: child, directory: line.toString().trim() };
}

describe('the end of a lab', { timeout: 900_000 }, () => {
  test('nothing is left running, and its directory is gone', async () => {
    const lab = await createLab({ standby: true, fast: true });
    const running = processesOf(lab.directory);
    expect(running.length).toBeGreaterThan(10);
    await lab.stop();
    expect(processesOf(lab.directory)).toEqual([]);
    expect(running.filter(({ pid }) => isAlive(pid))).toEqual([]);
    expect(existsSync(lab.directory)).toBe(false);
  });

  test('also when a server that Lifeboat started beside it, and one that was killed, are there', async () => {
    const lab = await createLab({ service: false, temporal: 'none', fast: true });
    await lab.primary.kill9();
    expect(existsSync(`${lab.primary.dataDirectory}/postmaster.pid`)).toBe(true);
    await lab.stop();
    expect([processesOf(lab.directory), existsSync(lab.directory)]).toEqual([[], false]);
  });

  test('also when Redis and sshd run in it, which overwrite the mark of the lab with their title', async () => {
    const directory = makeLabDirectory();
    const env = { ...process.env, [labVariable]: directory };
    const port = await freePort();
    const redis = await serve('redis', { directory: join(directory, 'redis'), env }, port, tool('redis-server'), [
      '--port',
      String(port),
    ]);
    const sshd = await startSshd({ directory: join(directory, 'sshd'), env });
    destroyLab(directory);
    expect([redis.isAlive(), await answers(sshd.port), existsSync(directory)]).toEqual([false, false, false]);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('by %s to its owner', async (name) => {
    const lab = await owner();
    expect(processesOf(lab.directory).length).toBeGreaterThan(5);
    lab.process.kill(name);
    expect(await once(lab.process, 'exit')).toEqual([null, name]);
    expect([processesOf(lab.directory), existsSync(lab.directory)]).toEqual([[], false]);
  });

  test('by SIGKILL to its owner: the next lab sweeps', async () => {
    const lab = await owner();
    lab.process.kill('SIGKILL');
    await once(lab.process, 'exit');
    expect(processesOf(lab.directory).length).toBeGreaterThan(5);
    sweep();
    // Another test file may be sweeping it at this moment.
    await until('its end', () => !existsSync(lab.directory) && processesOf(lab.directory).length === 0);
  });

  test('the lab of a living owner is left alone', async () => {
    const lab = await owner();
    sweep();
    expect(existsSync(lab.directory)).toBe(true);
    expect((await fetch(`${serviceUrl(lab.directory)}/health`)).status).toBe(200);
    lab.process.kill('SIGTERM');
    await once(lab.process, 'exit');
  });
});

function serviceUrl(directory: string): string {
  const { port } = JSON.parse(readFileSync(`${directory}/app1/service.json`, 'utf8')) as { port: number };
  return `http://127.0.0.1:${port}`;
}
