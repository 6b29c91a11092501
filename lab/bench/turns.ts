import type { Client } from '@temporalio/client';
import { backupWorkId } from '../../vocabulary/names.js';
import type { BackupKind } from '../../vocabulary/backup.js';
import type { Lab } from '../lab.js';
import { runAsDatabaseUser } from '../os-user.js';
import { median, type Span } from './spans.js';
import { say } from './table.js';

/** One piece of work of Lifeboat, in seconds. */
export interface Ours {
  id: string;
  /** From the start of the workflow to its end. */
  workflow: number;
  /** What the backup or the restore says of itself. */
  seconds: number;
  /** Of the workflow, how long to verify it. */
  verifying: number;
  /** The command, from being typed to its end. */
  command: number;
  span: Span;
}

export interface Turn {
  byHand: number;
  ours: Ours;
}

/** Runs a command of the CLI that works on backups, and asks Temporal when it began and ended. */
export async function ours(
  lab: Lab,
  temporal: Client,
  kind: BackupKind,
  component: string,
  args: string[],
): Promise<Ours> {
  const began = performance.now();
  const { code, stdout, stderr } = await lab.cli([...args, '--json']);
  const command = (performance.now() - began) / 1000;
  if (code !== 0) throw new Error(`lifeboat ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  const { id, seconds, verifySeconds } = JSON.parse(stdout) as { id?: string; seconds: number; verifySeconds?: number };
  const { startTime, closeTime } = await temporal.workflow
    .getHandle(backupWorkId(lab.system, kind, component))
    .describe();
  const span = { from: startTime.getTime(), to: closeTime!.getTime() };
  return {
    id: id ?? '',
    workflow: (span.to - span.from) / 1000,
    seconds,
    verifying: verifySeconds ?? 0,
    command,
    span,
  };
}

/** By hand and ours take turns, after one of each that fills the caches. What was written before is on disk first. */
export async function turns(
  lab: Lab,
  {
    what,
    pairs,
    byHand,
    lifeboat,
  }: {
    what: string;
    pairs: number;
    byHand: (turn: number) => Promise<number>;
    lifeboat: (turn: number) => Promise<Ours>;
  },
): Promise<Turn[]> {
  const done: Turn[] = [];
  for (let turn = 0; turn <= pairs; turn += 1) {
    await settle(lab);
    const theirs = await byHand(turn);
    await settle(lab);
    const one: Turn = { byHand: theirs, ours: await lifeboat(turn) };
    if (turn > 0) done.push(one);
    say(
      `  ${what}${turn === 0 ? ' (to warm up)' : ''}: by hand ${theirs.toFixed(2)} s, ours ${one.ours.workflow.toFixed(2)} s` +
        ` (it says ${one.ours.seconds.toFixed(1)}, ${one.ours.verifying.toFixed(1)} of it to verify, the command took ${one.ours.command.toFixed(2)})`,
    );
  }
  return done;
}

export async function settle(lab: Lab): Promise<void> {
  await lab.primary.sql('CHECKPOINT');
  await runAsDatabaseUser('sync', [], '/');
}

/** The median of our time divided by that by hand. */
export const slower = (all: Turn[]): number => median(all.map(({ byHand, ours: { workflow } }) => workflow / byHand));
/** The same without the verification, which the bare tools do not do. */
export const slowerToTake = (all: Turn[]): number =>
  median(all.map(({ byHand, ours: { workflow, verifying } }) => (workflow - verifying) / byHand));

export const told = (what: string, all: Turn[]): string =>
  `${what}, by hand, our workflow, our command in s: ${all
    .map(
      ({ byHand, ours: { workflow, command } }) => `${byHand.toFixed(2)} ${workflow.toFixed(2)} ${command.toFixed(2)}`,
    )
    .join(' · ')}`;
