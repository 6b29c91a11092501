import type { Command } from 'commander';
import { showProgress } from '../../backup-progress.js';
import { orFailed } from '../../failed-result.js';
import { exitCodes, printJson, printLine } from '../../output.js';
import { globals, withBackups } from '../../session.js';
import { addWhich, demandLocation, named, type Which } from '../../component-option.js';
import { findBackup } from '../../find-backup.js';
import type { VerifyResult } from '../../../vocabulary/backup-work.js';

export function register(backup: Command): void {
  addWhich(
    backup
      .command('verify')
      .description('read backups whole and compare every digest: one by its ID, or all of them')
      .argument('[id]', 'as `lifeboat backup list` shows it'),
  )
    .option('--location <name>', 'at this location alone')
    .action(async (id: string | undefined, options: Which & { location?: string }, command: Command) => {
      await withBackups(command, async (lifeboat) => {
        demandLocation(lifeboat.plan, options.location);
        const of = named(lifeboat.plan, options);
        const one = id ? await findBackup(lifeboat, id, options) : undefined;
        const location = options.location;
        const results: (VerifyResult & { kind: string; component: string })[] = [];
        const all = one ? [one] : of;
        for (const { kind, component } of all) {
          const stop = globals(command).json
            ? () => undefined
            : showProgress(() => lifeboat.backups.progress(kind, component));
          const result = await orFailed(
            all.length === 1,
            () =>
              lifeboat.backups
                .verify({ kind, component, ...(id ? { id } : {}), ...(location ? { location } : {}) })
                .finally(stop),
            (why) => ({ summary: 'NOT done', sound: 0, damaged: [], failed: [why] }),
          );
          results.push({ kind, component, ...result });
          if (!globals(command).json) print(`${kind} backups of ${component}`, result);
        }
        if (globals(command).json) printJson(results.length === 1 ? results[0] : results);
        if (results.some(({ damaged, failed }) => damaged.length + failed.length > 0))
          process.exitCode = exitCodes.problems;
      });
    });
}

function print(what: string, { summary, damaged, failed }: VerifyResult): void {
  printLine(`${what}: ${summary}`);
  for (const { id, location, file, why } of damaged)
    printLine(`  ${[id, `at ${location}`, file].filter(Boolean).join('  ')}: ${why}`);
  for (const why of failed) printLine(`  not looked at: ${why}`);
  if (damaged.length > 0)
    printLine('  → A recovery passes over what is damaged. Take a new one: lifeboat backup create');
}
