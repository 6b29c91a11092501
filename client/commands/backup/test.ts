import { type Command, Option } from 'commander';
import { showProgress } from '../../backup-progress.js';
import { exitCodes, printJson, printLine } from '../../output.js';
import { globals, theDatabase, withBackups } from '../../session.js';

export function register(backup: Command): void {
  backup
    .command('test')
    .description(
      'restore the newest backups of a database to scratch, on the host that the plan names, and verify them there',
    )
    .addOption(new Option('--database <name>', 'the database; needed when the plan has several'))
    .option(
      '--staging',
      'the monthly test instead: on the host of restoreTest, from the location whose last test is the longest ago',
    )
    .action(async (options: { database?: string; staging?: boolean }, command: Command) => {
      await withBackups(command, async (lifeboat) => {
        const database = theDatabase(lifeboat.plan, options.database);
        const { json } = globals(command);
        const stop = json ? () => undefined : showProgress(() => lifeboat.backups.progress('physical', database));
        const result = await lifeboat.backups
          .test(database, options.staging ? 'restoreTest' : 'backupVerification')
          .finally(stop);
        if (result.failed.length > 0) process.exitCode = exitCodes.problems;
        if (json) printJson(result);
        else {
          for (const { summary } of result.tests) printLine(summary);
          for (const why of result.failed) printLine(`NOT as it should be: ${why}`);
        }
      });
    });
}
