import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { LoadedPlan } from '../plan/load.js';
import type { Lifeboat } from './lifeboat.js';
import { Expected } from './output.js';
import { whoami } from './user-name.js';

export interface Globals {
  plan: string;
  json: boolean;
  by: string;
  /** What is typed before a subcommand: `lifeboat`, with --plan where it is not the default. */
  prefix: string;
}

export function globals(command: Command): Globals {
  const { plan, json, as } = command.optsWithGlobals<{ plan: string; json?: boolean; as?: string }>();
  const prefix =
    plan === 'lifeboat.yaml' || plan === process.env['LIFEBOAT_PLAN'] ? 'lifeboat' : `lifeboat --plan ${plan}`;
  return { plan, json: json === true, by: whoami(as), prefix };
}

export async function readPlan(command: Command): Promise<LoadedPlan> {
  const { loadPlan } = await import('../plan/load.js');
  return loadPlan(globals(command).plan);
}

/** Reads the plan, connects to Temporal, runs `work`, and closes. Loads the Temporal client only here. */
export async function withLifeboat(
  command: Command,
  work: (lifeboat: Lifeboat, options: Globals) => Promise<void>,
): Promise<void> {
  const plan = await readPlan(command);
  const { Lifeboat } = await import('./lifeboat.js');
  const lifeboat = await Lifeboat.connect(plan);
  try {
    await work(lifeboat, globals(command));
  } finally {
    await lifeboat.close();
  }
}

/**
 * The same for work on backups, which needs no plan file: without one, DATABASE_URL and its like say what is backed up,
 * and Temporal runs on this machine for as long as the command does.
 */
export async function withBackups(
  command: Command,
  work: (lifeboat: Lifeboat, options: Globals) => Promise<void>,
): Promise<void> {
  const { plan } = globals(command);
  if (!process.env['DATABASE_URL'] && plan === 'lifeboat.yaml' && !existsSync(plan)) {
    throw new Expected(
      'There is no plan file here (lifeboat.yaml), and DATABASE_URL is not set: what is meant?',
      'Name the plan: --plan FILE. Or without one: export DATABASE_URL=postgres://user:password@host:5432/name BACKUP_DIR=/mnt/backups',
    );
  }
  if (!process.env['DATABASE_URL'] || plan !== 'lifeboat.yaml' || existsSync(plan)) return withLifeboat(command, work);
  const { withoutPlan } = await import('./no-plan.js');
  await withoutPlan(process.env, async (loaded) => {
    const { Lifeboat } = await import('./lifeboat.js');
    const lifeboat = await Lifeboat.connect(loaded);
    lifeboat.alone = true;
    try {
      await work(lifeboat, globals(command));
    } finally {
      await lifeboat.close();
    }
  });
}

/** The database that is meant: named, or the only one. Throws {@link Expected} when it is neither. */
export function theDatabase({ plan }: LoadedPlan, named: string | undefined): string {
  const names = Object.keys(plan.databases);
  if (named === undefined) {
    if (names.length === 1) return names[0]!;
    throw new Expected(
      `Which database? The plan has ${names.join(', ')}.`,
      `Say which: --database ${names[0] ?? 'NAME'}`,
    );
  }
  if (!names.includes(named))
    throw new Expected(
      `The plan has no database "${named}".`,
      `It has ${names.join(', ')}: --database ${names[0] ?? 'NAME'}`,
    );
  return named;
}
