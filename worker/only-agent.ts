import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { HostContext } from '../activities/context.js';
import { isAlive, startOf } from '../activities/processes.js';
import { CannotStart } from './cannot-start.js';

/**
 * Two agents of one host would work in each other's directories. Throws when another one is alive. The file with its
 * PID says which; of two that start at the same moment, the lock lets one go on.
 */
export async function onlyAgent(context: HostContext): Promise<void> {
  const file = join(context.state, 'agent.pid');
  await demandNone(file, context.host);
  // A bare descriptor, which nobody closes: it is ours until the last thread of this process has ended.
  const lock = openSync(join(context.state, 'agent.lock'), 'a');
  // For a while: one that was killed just now may not be gone yet.
  for (let left = 20; !(await isLocked(lock)); left -= 1) {
    await demandNone(file, context.host);
    if (left === 0)
      throw new CannotStart(
        `An agent of ${context.host} runs already on this machine.`,
        'Stop it first, or let it be.',
      );
    await pause(250);
  }
  // One that knows no lock may have come meanwhile.
  await demandNone(file, context.host);
  await writeFile(file, `${process.pid}\n${await startOf(process.pid)}`);
}

async function demandNone(file: string, host: string): Promise<void> {
  const [pid = '', started = ''] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  if (Number(pid) !== process.pid && (await isAlive(Number(pid), started)))
    throw new CannotStart(
      `An agent of ${host} runs already on this machine, with PID ${pid}.`,
      'Stop it first, or let it be.',
    );
}

/**
 * Takes the lock unless somebody else has it. A lock of flock(2) belongs to the open file that the program is given,
 * and so stays ours when the program has ended. Where there is no flock (macOS), or no lock to be had, only the file
 * with the PID tells. Source: flock(1), flock(2).
 */
async function isLocked(file: number): Promise<boolean> {
  const child = spawn('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', file] });
  const [code] = (await once(child, 'close').catch(() => [0])) as [number | null];
  // 1: somebody else holds it.
  return code !== 1;
}
