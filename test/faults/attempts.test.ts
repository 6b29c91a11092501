import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activity, cancelled } from '../../activities/capability.js';
import { endLeftovers, run } from '../../activities/run.js';
import { groupIdentity, startOf } from '../../activities/processes.js';
import { startChild } from '../../lab/child.js';
import { until } from '../../lab/wait.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-attempts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An attempt of one activity, in this process. */
const attempt = <T>(activityId: string, number: number, work: () => Promise<T>) => {
  const environment = new MockActivityEnvironment(
    { activityId, attempt: number },
    { logger: new DefaultLogger('ERROR') },
  );
  const perform = activity<object, T>({ execute: work, rehearse: work });
  return { environment, result: environment.run(perform, { form: 'execute' as const }) };
};

describe('attempts of one activity in one process', () => {
  test('a later one ends the earlier, and begins when that is over', async () => {
    const said: string[] = [];
    const first = attempt('1', 1, async () => {
      said.push('the first begins');
      await new Promise((resolve) => cancelled()!.addEventListener('abort', resolve));
      // It takes its time: a program that is being ended, a session that is being closed.
      await pause(100);
      said.push('the first is over');
      return 'first';
    });
    first.result.catch(() => undefined);
    await until('the first works', () => said.length === 1, 5, 1);
    const second = attempt('1', 2, () => Promise.resolve(said.push('the second begins')));
    await expect(first.result).rejects.toBeInstanceOf(CancelledFailure);
    expect(await second.result).toBe(3);
    expect(said).toEqual(['the first begins', 'the first is over', 'the second begins']);
  });

  test('other activities are none of its business', async () => {
    const end = Promise.withResolvers<string>();
    const one = attempt('2', 1, () => end.promise);
    expect(await attempt('3', 1, () => Promise.resolve('other')).result).toBe('other');
    end.resolve('one');
    expect(await one.result).toBe('one');
  });

  test('what one found after it was told to end is not believed', async () => {
    const told = attempt('4', 1, async () => {
      await new Promise((resolve) => cancelled()!.addEventListener('abort', resolve));
      return 'all is well';
    });
    told.result.catch(() => undefined);
    await pause(1);
    told.environment.cancel('WORKER_SHUTDOWN');
    await expect(told.result).rejects.toBeInstanceOf(CancelledFailure);
  });

  test('the fourth failure of its own is the last; being killed does not count', async () => {
    const fails = (number: number) =>
      attempt('5', number, () => Promise.reject(ApplicationFailure.retryable('no luck', 'Busy'))).result.then(
        () => expect.unreachable(),
        (error: unknown) => (error as ApplicationFailure).nonRetryable === true,
      );
    // Temporal counts an agent's deaths as attempts too.
    expect([await fails(20), await fails(30), await fails(31), await fails(32)]).toEqual([false, false, false, true]);
  });
});

describe('a program that is written down', () => {
  test('does not begin when we are killed before it is', async () => {
    const made = join(folder, 'made');
    // What an agent does up to the moment at which it dies: the program is started, and not let go yet.
    const script = `
      const { spawn } = await import('node:child_process');
      const { programGate } = await import(${JSON.stringify(join(import.meta.dirname, '../../dist/activities/run.js'))});
      const child = spawn('/bin/sh', ['-c', programGate, 'lifeboat', 'touch', ${JSON.stringify(made)}], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'], detached: true });
      console.log('pid', child.pid);
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);
    `;
    const log = join(folder, 'log');
    const child = await startChild({
      program: process.execPath,
      args: ['--input-type=module', '-e', script],
      cwd: folder,
      env: process.env,
      log,
    });
    await until('the agent is dead', () => !child.isAlive(), 10, 5);
    const pid = Number(/pid (\d+)/.exec(child.tail())?.[1]);
    await until('the program is gone', async () => (await startOf(pid)) === '', 5, 5);
    expect(existsSync(made)).toBe(false);
  });

  test('left running by an agent that was killed, it is ended by the next; a reused PID is not touched', async () => {
    const sleep = () =>
      startChild({ program: '/bin/sleep', args: ['600'], cwd: folder, env: process.env, log: join(folder, 'sleep') });
    const [left, other] = await Promise.all([sleep(), sleep()]);
    await writeFile(join(folder, 'left.running'), `${left.pid} a-mark ${await groupIdentity(left.pid)}`);
    await writeFile(join(folder, 'other.running'), `${other.pid} 12345`);
    await writeFile(join(folder, 'half.running'), '');
    await endLeftovers(folder);
    expect(left.isAlive()).toBe(false);
    expect(other.isAlive()).toBe(true);
    for (const name of ['left', 'other', 'half']) expect(existsSync(join(folder, `${name}.running`))).toBe(false);
    await other.stop();
  });

  test('whose own programs outlive it holds its locks as long: they are ended; what is of an earlier boot, or not known again, is not touched', async () => {
    /** A program that is gone, and what it had started is not: in its group, with its files. */
    const outlived = async (name: string, { mark = 'a-mark', boot = '' } = {}) => {
      const [log, begin] = [join(folder, `${name}.log`), join(folder, `${name}.begin`)];
      const script = `while [ ! -e '${begin}' ]; do sleep 0.05; done; sleep 600 & echo $!`;
      const program = await startChild({
        program: '/bin/sh',
        args: ['-c', script],
        cwd: folder,
        env: { ...process.env, LIFEBOAT_MARK: mark },
        log,
      });
      const identity = await groupIdentity(program.pid);
      await writeFile(
        join(folder, `${name}.running`),
        `${program.pid} a-mark ${boot ? identity.replace(/@.*/, `@${boot}`) : identity}`,
      );
      await writeFile(begin, '');
      await until('it is gone', () => !program.isAlive(), 10, 5);
      return Number(program.tail());
    };
    const left = await outlived('outlived');
    const others = [await outlived('rebooted', { boot: 'another' }), await outlived('stranger', { mark: 'another' })];
    try {
      expect(await Promise.all([left, ...others].map(startOf)), 'what they had started is there').not.toContain('');
      await endLeftovers(folder);
      expect(await startOf(left)).toBe('');
      expect(await Promise.all(others.map(startOf))).not.toContain('');
      for (const name of ['outlived', 'rebooted', 'stranger'])
        expect(existsSync(join(folder, `${name}.running`))).toBe(false);
    } finally {
      for (const pid of others) process.kill(pid, 'SIGKILL');
    }
  });

  test('two of one name come one after the other', async () => {
    const ledger = { directory: folder, name: 'turn' };
    const file = join(folder, 'turns');
    const one = (text: string) =>
      run('/bin/sh', ['-c', `echo ${text} begins >> ${file}; sleep 0.1; echo ${text} ends >> ${file}`], { ledger });
    await Promise.all([one('a'), one('b')]);
    const { stdout } = await run('cat', [file]);
    expect(stdout.split('\n')).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  test('that is not there is said to be missing', async () => {
    const ledger = { directory: folder, name: 'missing' };
    await expect(run('no-such-program', [], { ledger })).rejects.toMatchObject({ type: 'ToolMissing' });
    await expect(run('no-such-program', [])).rejects.toMatchObject({ type: 'ToolMissing' });
  });
});
