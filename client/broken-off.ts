import { setTimeout as pause } from 'node:timers/promises';
import { backupWorkId } from '../vocabulary/names.js';
import { protectedBy } from '../plan/access.js';
import type { LoadedPlan } from '../plan/load.js';
import { Expected, exitCodes } from './output.js';

/** Work that runs only for as long as its command does: who breaks the command off means the work. */

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** What is cancelled takes back what it sent, drops what it restored, opens what it closed. */
const patienceMs = 60_000;

/**
 * Runs `work`. At Ctrl-C, or when its terminal goes away, what it began is cancelled and its end is waited for: left
 * alone, it would go on by itself beside whatever is asked next, and replace a database when nobody thinks of it any
 * more. A second signal ends this process at once.
 */
export async function untilBrokenOff(plan: LoadedPlan, work: () => Promise<void>): Promise<void> {
  let heard: (signal: NodeJS.Signals) => void = () => undefined;
  const broken = new Promise<NodeJS.Signals>((resolve) => (heard = resolve));
  for (const signal of signals) process.once(signal, heard);
  try {
    const done = work();
    const signal = await Promise.race([done.then(() => undefined), broken]);
    if (signal === undefined) return;
    done.catch(() => undefined);
    const ended = await cancelAll(plan);
    throw new Expected(
      `Broken off by ${signal}: ${ended.length > 0 ? ended.join('; ') : 'nothing was under way'}.`,
      'See how things are: lifeboat backup list',
      exitCodes.problems,
    );
  } finally {
    for (const signal of signals) process.off(signal, heard);
  }
}

/** What is under way on the backups of the plan; of a command that was killed, too. */
export async function underWay(plan: LoadedPlan): Promise<string[]> {
  return eachRunning(plan, async (_handle, what) => Promise.resolve(what));
}

function cancelAll(plan: LoadedPlan): Promise<string[]> {
  return eachRunning(plan, async (handle, what) => {
    await handle.cancel();
    const end = handle.result().then(
      () => 'had come to its end already',
      () => 'was cancelled',
    );
    return `${what} ${await Promise.race([end, pause(patienceMs, 'is being cancelled', { ref: false })])}`;
  });
}

type Handle = { cancel(): Promise<unknown>; result(): Promise<unknown> };

async function eachRunning(
  plan: LoadedPlan,
  tell: (handle: Handle, what: string) => Promise<string>,
): Promise<string[]> {
  const { Lifeboat } = await import('./lifeboat.js');
  const lifeboat = await Lifeboat.connect(plan);
  try {
    const { system } = plan.plan;
    const ids = new Set(protectedBy(plan.plan).map(({ kind, component }) => backupWorkId(system, kind, component)));
    const told: string[] = [];
    for (const id of ids) {
      const handle = lifeboat.temporal.workflow.getHandle(id);
      const found = await handle.describe().catch(() => undefined);
      if (found?.status.name === 'RUNNING')
        told.push(await tell(handle, `"${(await found.staticSummary()) ?? found.type}"`));
    }
    return told;
  } finally {
    await lifeboat.close();
  }
}
