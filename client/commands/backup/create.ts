import type { Command } from 'commander';
import type { Protected } from '../../../plan/access.js';
import { type BackupType, isPhysical } from '../../../vocabulary/backup.js';
import type { LoadedPlan } from '../../../plan/load.js';
import { showProgress } from '../../backup-progress.js';
import type { Lifeboat } from '../../lifeboat.js';
import { Expected, exitCodes, printJson, printLine } from '../../output.js';
import { globals, theDatabase, withBackups } from '../../session.js';
import { addWhich, named, type Which } from '../../component-option.js';
import type { BackupResult } from '../../../vocabulary/backup-work.js';

const typeFlags = ['full', 'differential', 'incremental', 'logical'] as const;
type Options = Which & Partial<Record<(typeof typeFlags)[number], boolean>> & { all?: boolean };

export function register(backup: Command): void {
  addWhich(
    backup.command('create').description('take a backup now, at every location of the plan, and read it back there'),
  )
    .option('--full', 'the whole cluster of the database (the default)')
    .option('--differential', 'what changed in it since the last full backup')
    .option('--incremental', 'what changed in it since the last backup')
    .option('--logical', 'a dump of the one database, by pg_dump')
    .option('--all', 'everything that the plan backs up')
    .action(async (options: Options, command: Command) => {
      await withBackups(command, async (lifeboat) => create(lifeboat, command, asked(lifeboat.plan, options)));
    });
}

type Asked = { component: string; type: BackupType } & Pick<Protected, 'kind'>;

/** What is to be taken. Throws {@link Expected} when that is not clear, or the plan does not have it. */
function asked(plan: LoadedPlan, options: Options): Asked[] {
  const flags = typeFlags.filter((type) => options[type]);
  if (flags.length > 1)
    throw new Expected(
      `One kind at a time, not ${flags.join(' and ')}.`,
      'For example: lifeboat backup create --incremental',
    );
  const type = flags[0];
  if (options.all) {
    if (type)
      throw new Expected(
        `--all takes everything, each in its way: --${type} says nothing more.`,
        'Leave one of them out.',
      );
    return named(plan, options).map(({ kind, component, types }) => ({ kind, component, type: types[0]! }));
  }
  const { files, redis, code } = options;
  const others =
    (files ?? redis ?? code)
      ? named(plan, { ...(files ? { files } : {}), ...(redis ? { redis } : {}), ...(code ? { code } : {}) })
      : [];
  const wanted = others.map(({ kind, component, types }): Asked => ({ kind, component, type: types[0]! }));
  if (wanted.length > 0 && !type && !options.database) return wanted;
  const database = theDatabase(plan, options.database);
  const of = named(plan, { database });
  const kind = type ? (isPhysical(type) ? 'physical' : 'logical') : of[0]!.kind;
  const found = of.find((one) => one.kind === kind);
  if (!found) {
    throw new Expected(
      `The plan takes no ${kind} backups of ${database}.`,
      `It takes ${of.map((one) => one.kind).join(' and ')}: lifeboat backup create --${of[0]!.types[0]}`,
    );
  }
  return [...wanted, { kind, component: database, type: type ?? found.types[0]! }];
}

/** One after the other. One that fails keeps none of the others from being taken. */
async function create(lifeboat: Lifeboat, command: Command, all: Asked[]): Promise<void> {
  const { json } = globals(command);
  const results: (BackupResult | { component: string; type: string; error: string; hint?: string })[] = [];
  for (const { kind, component, type } of all) {
    const stop = json ? () => undefined : showProgress(() => lifeboat.backups.progress(kind, component));
    try {
      const result = await lifeboat.backups.create(component, type).finally(stop);
      results.push(result);
      if (result.failed.length > 0) process.exitCode = exitCodes.problems;
      if (!json)
        printLine(
          `${all.length > 1 ? `${component}: ` : ''}${result.summary}, in ${result.seconds} s${result.verifySeconds ? `, of which ${result.verifySeconds} to verify it` : ''}`,
        );
    } catch (error) {
      if (all.length === 1) throw error;
      const { explain } = await import('../../output.js');
      const { message, hint } = await explain(error);
      process.exitCode = exitCodes.problems;
      results.push({ component, type, error: message, ...(hint ? { hint } : {}) });
      if (!json) printLine(`${component}: the ${type} backup FAILED: ${message}${hint ? `\n  → ${hint}` : ''}`);
    }
  }
  if (json) printJson(results.length === 1 ? results[0] : results);
}
