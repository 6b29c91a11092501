import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostContext } from '../activities/context.js';
import { isAlive, startOf } from '../activities/processes.js';
import { CannotStart } from './cannot-start.js';

/** Two agents of one host would work in each other's directories. Throws when another one is alive. */
export async function onlyAgent(context: HostContext): Promise<void> {
  const file = join(context.state, 'agent.pid');
  const [pid = '', started = ''] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  if (Number(pid) !== process.pid && (await isAlive(Number(pid), started))) {
    throw new CannotStart(`An agent of ${context.host} runs already on this machine, with PID ${pid}.`, 'Stop it first, or let it be.');
  }
  await writeFile(file, `${process.pid}\n${await startOf(process.pid)}`);
}
