import { type Command, Option } from 'commander';
import { Expected, exitCodes, printJson, printLine } from '../output.js';
import { globals, theDatabase, withLifeboat } from '../session.js';
import type { BackupType } from '../../plan/kinds.js';

/** `lifeboat backup create|list|verify`. */
export function register(program: Command): void {
  const backup = program.command('backup').description('take, list and verify backups');
  const database = () => new Option('--database <name>', 'the database; needed when the plan has several');

  backup
    .command('create')
    .description('take a physical backup now, at every location of the plan')
    .addOption(database())
    .option('--full', 'everything (the default)')
    .option('--differential', 'what changed since the last full backup')
    .option('--incremental', 'what changed since the last backup')
    .action(async (options: { database?: string; full?: boolean; differential?: boolean; incremental?: boolean }, command: Command) => {
      const kinds = (['full', 'differential', 'incremental'] as const).filter((kind) => options[kind]);
      if (kinds.length > 1)
        throw new Expected(`One kind at a time, not ${kinds.join(' and ')}.`, 'For example: lifeboat backup create --incremental');
      await create(command, options.database, kinds[0] ?? 'full');
    });

  backup
    .command('list')
    .description('every backup at every location, newest first')
    .addOption(database())
    .option('--location <name>', 'of this location alone')
    .action(async (options: { database?: string; location?: string }, command: Command) => list(command, options));

  backup
    .command('verify')
    .description('read every file of every backup and compare its checksum')
    .addOption(database())
    .action(async (options: { database?: string }, command: Command) => {
      await withLifeboat(command, async (lifeboat) => {
        const result = await lifeboat.verifyBackups(theDatabase(lifeboat.plan, options.database));
        if (globals(command).json) printJson(result);
        else {
          printLine(result.summary);
          for (const { location, why } of result.damaged) printLine(`  ${location}: ${why}`);
          if (result.damaged.length > 0) printLine('A recovery passes over what is damaged. Take a new one: lifeboat backup create --full');
        }
        if (result.damaged.length > 0) process.exitCode = exitCodes.problems;
      });
    });
}

async function create(command: Command, named: string | undefined, type: BackupType): Promise<void> {
  await withLifeboat(command, async (lifeboat) => {
    const database = theDatabase(lifeboat.plan, named);
    const running = lifeboat.backup(database, type);
    const stop = globals(command).json ? () => undefined : showProgress(() => lifeboat.backupProgress(database));
    const result = await running.finally(stop);
    if (globals(command).json) {
      printJson(result);
      return;
    }
    printLine(`${result.summary}, in ${result.seconds} s`);
    if (result.failed.length > 0) process.exitCode = exitCodes.problems;
  });
}

/** A line that changes in a terminal; nothing elsewhere. Returns what ends it. */
function showProgress(look: () => Promise<{ what: string; percent?: number }[]>): () => void {
  if (!process.stderr.isTTY) return () => undefined;
  const timer = setInterval(() => {
    void look().then(
      ([now]) => now && process.stderr.write(`\r\x1b[K${now.what}${now.percent === undefined ? '' : ` ${now.percent}%`}`),
      () => undefined,
    );
  }, 1000);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}

async function list(command: Command, options: { database?: string; location?: string }): Promise<void> {
  await withLifeboat(command, async (lifeboat) => {
    const { formatBytes, formatDuration } = await import('../../plan/values.js');
    const found = await lifeboat.listBackups(theDatabase(lifeboat.plan, options.database));
    const backups = found.backups.filter(({ location }) => !options.location || location === options.location);
    if (globals(command).json) {
      printJson({ ...found, backups });
      return;
    }
    for (const [location, why] of Object.entries(found.unreadable)) printLine(`Location ${location} cannot be read: ${why}`);
    if (backups.length === 0) printLine('There is no backup. Take one: lifeboat backup create --full');
    for (const backup of backups) {
      const age = formatDuration((Date.now() - Date.parse(backup.timestamp)) / 1000);
      printLine(
        `${backup.id.padEnd(34)} ${backup.type.padEnd(12)} ${backup.location.padEnd(12)} ${formatBytes(backup.size).padStart(9)}  ${age} old${backup.damaged ? `  DAMAGED: ${backup.damaged.why}` : ''}`,
      );
    }
  });
}
