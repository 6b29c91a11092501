import type { Command } from 'commander';
import { formatBytes } from '../../../vocabulary/units.js';
import { orFailed } from '../../failed-result.js';
import { exitCodes, printJson, printLine } from '../../output.js';
import { globals, withBackups } from '../../session.js';
import { addWhich, named, type Which } from '../../component-option.js';
import type { CleanUpResult } from '../../../vocabulary/backup-work.js';

export function register(backup: Command): void {
  addWhich(
    backup
      .command('cleanup')
      .description('remove the backups that the plan keeps no longer; never the last one that is known to be good'),
  )
    .option('--dry-run', 'only say which')
    .action(async (options: Which & { dryRun?: boolean }, command: Command) => {
      await withBackups(command, async (lifeboat) => {
        const results: (CleanUpResult & { kind: string; component: string })[] = [];
        const all = named(lifeboat.plan, options);
        for (const { kind, component } of all) {
          const result = await orFailed(
            all.length === 1,
            () => lifeboat.backups.cleanUp(kind, component, options.dryRun === true),
            (why) => ({ summary: why, removed: [], kept: {}, failed: [why] }),
          );
          results.push({ kind, component, ...result });
          if (!globals(command).json) print(`${kind} backups of ${component}`, result, options.dryRun === true);
        }
        if (globals(command).json) printJson(results);
        if (results.some(({ failed }) => failed.length > 0)) process.exitCode = exitCodes.problems;
      });
    });
}

function print(what: string, { removed, kept, failed }: CleanUpResult, dryRun: boolean): void {
  const keeps = Object.entries(kept).map(([location, count]) => `${count} at ${location}`);
  const verb = dryRun ? 'would remove' : 'removed';
  const nothing = removed.length === 0 && keeps.length === 0 && failed.length > 0;
  if (nothing) printLine(`${what}:`);
  else
    printLine(
      `${what}: ${removed.length === 0 ? 'nothing to remove' : `${verb} ${removed.length}`}; ${keeps.length > 0 ? `kept ${keeps.join(', ')}` : 'there is none'}`,
    );
  for (const { id, location, type, timestamp, size, why } of removed)
    printLine(`  ${id}  ${type}  ${location}  ${formatBytes(size)}  of ${timestamp}: ${why}`);
  for (const why of failed) printLine(`  NOT done: ${why}`);
}
