import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import type { HostActivities } from '../../activities/host.js';
import type { Lab } from '../../lab/lab.js';
import { checkout, compiled } from '../../lab/root.js';
import type { AskedOfProcess } from './step-process.js';

/**
 * What an agent does, one step at a time, in a process of its own that can be killed: without a worker, a death costs a
 * tenth.
 */

export interface Asked {
  activity: keyof HostActivities;
  input: object;
  host?: string;
  loops?: boolean;
}

export interface Ended {
  /** 0, an exit code, or the name of the signal that killed it. */
  how: number | string;
  stdout: string;
  stderr: string;
}

interface Options {
  /** A file of the points at which it does not kill itself any more. */
  walk?: string;
  /** Of these alone (the beginnings of their names), when they are given. */
  only?: string[];
  onStart?: (pid: number) => void;
}

/** One for each lab that has loaded and waits to be asked. It ends with us, since its stdin does, and with the lab. */
const ready = new WeakMap<Lab, ChildProcess>();

function start(lab: Lab): ChildProcess {
  const child = spawn(process.execPath, [join(checkout, 'test/helpers/step-process.ts')], {
    cwd: lab.directory,
    env: { ...compiled, ...lab.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  // Whoever reads what it says hears how it ended.
  child.stdin.on('error', () => undefined);
  child.unref();
  return child;
}

/** Does it once. */
export async function once(
  lab: Lab,
  { activity, input, host = 'db1', loops = false }: Asked,
  options: Options = {},
): Promise<Ended> {
  const child = ready.get(lab) ?? start(lab);
  const env = {
    ...(options.walk ? { LIFEBOAT_FAULT_WALK: options.walk } : {}),
    ...(options.only ? { LIFEBOAT_FAULT_ONLY: JSON.stringify(options.only) } : {}),
  };
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(signal ?? code ?? 0)),
  );
  child.stdin!.write(`${JSON.stringify({ activity, host, input, env, loops } satisfies AskedOfProcess)}\n`);
  options.onStart?.(child.pid!);
  if (options.walk) ready.set(lab, start(lab));
  else ready.delete(lab);
  const [how, stdout, stderr] = await Promise.all([ended, text(child.stdout!), text(child.stderr!)]);
  return { how, stdout, stderr };
}

/** What a walk has visited: `activity: point`, in the order in which a process died there. */
export const pointsIn = (file: string): string[] =>
  existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];

export interface WalkOptions {
  /** Called after each death. */
  between?: (point: string) => Promise<void>;
  /** Points at which nobody dies. */
  without?: string[];
  /** Points, by the beginnings of their names, at which alone somebody dies. */
  only?: string[];
}

/**
 * Does it again and again, killed at every point that it comes to for the first time, until it gets through. `name`: of
 * the file of its points; walks of one name know each other's.
 */
export async function walk(
  lab: Lab,
  asked: Asked,
  name: string,
  options: WalkOptions = {},
): Promise<{ result: unknown; points: string[] }> {
  const { between, without = [], only } = options;
  const file = join(lab.directory, `${name}.walk`);
  if (!existsSync(file)) writeFileSync(file, without.map((point) => `${point}\n`).join(''));
  let failed = 0;
  for (let tries = 0; tries < 100; tries += 1) {
    const { how, stdout, stderr } = await once(lab, asked, { walk: file, ...(only ? { only } : {}) });
    if (how === 0) return { result: JSON.parse(stdout) as unknown, points: pointsIn(file) };
    if (how === 'SIGKILL') {
      failed = 0;
      await between?.(pointsIn(file).at(-1)!);
      continue;
    }
    // As Temporal does it (workflows/activities.ts, activities/attempts.ts): a server that is still going down is asked
    // again.
    failed += 1;
    if (failed === 4 || stderr.includes('nonRetryable: true'))
      throw new Error(`${asked.activity} ended with ${how}: ${stderr}\nafter ${pointsIn(file).join(', ')}`);
    await pause(250 * 2 ** failed);
  }
  throw new Error(`${asked.activity} does not come to its end: ${pointsIn(file).join(', ')}`);
}
