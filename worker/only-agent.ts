import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostContext } from '../activities/context.js';

/** Two agents of one host would work in each other's directories. Throws when another one is alive. */
export async function onlyAgent(context: HostContext): Promise<void> {
  const file = join(context.state, 'agent.pid');
  const [pid = '', started = ''] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  if (pid !== '' && Number(pid) !== process.pid && started !== '' && (await startOf(Number(pid))) === started) {
    throw new Error(`An agent of ${context.host} runs already on this machine, with PID ${pid}. Stop it first, or let it be.`);
  }
  await writeFile(file, `${process.pid}\n${await startOf(process.pid)}`);
}

async function startOf(pid: number): Promise<string> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=,stat=', '-p', String(pid)], {
    env: { ...process.env, LC_ALL: 'C' },
  }).catch(() => ({ stdout: '' }));
  const state = stdout.trim().split(/\s+/).at(-1) ?? '';
  return stdout.trim() === '' || state.startsWith('Z') ? '' : stdout.trim().slice(0, -state.length).trim();
}
