import type { Command } from 'commander';
import { backupLines } from '../../backup-lines.js';
import { exitCodes, printJson, printLine } from '../../output.js';
import { globals, withBackups } from '../../session.js';
import { addWhich, demandLocation, named, type Which } from '../../component-option.js';

export function register(backup: Command): void {
  addWhich(
    backup
      .command('list')
      .description(
        'every backup at every location, newest first: its age, whether it was verified, and when it was last restored',
      ),
  )
    .option('--location <name>', 'of this location alone')
    .action(async (options: Which & { location?: string }, command: Command) => {
      await withBackups(command, async (lifeboat) => {
        demandLocation(lifeboat.plan, options.location);
        const found = await lifeboat.backups.listAll(named(lifeboat.plan, options));
        const backups = found.backups.filter(({ location }) => !options.location || location === options.location);
        if (Object.keys(found.unreadable).length > 0) process.exitCode = exitCodes.problems;
        if (globals(command).json) {
          printJson({ ...found, backups });
          return;
        }
        for (const [location, why] of Object.entries(found.unreadable))
          printLine(`Location ${location} cannot be read: ${why}`);
        if (backups.length === 0 && Object.keys(found.unreadable).length === 0)
          printLine('There is no backup. Take one: lifeboat backup create');
        for (const line of backupLines(backups)) printLine(line);
      });
    });
}
