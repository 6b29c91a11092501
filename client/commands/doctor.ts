import { drillCommand } from '../../vocabulary/scenario.js';
import type { Command } from 'commander';
import { exitCodes, printJson, printLine } from '../output.js';
import { globals, theDatabase, withLifeboat } from '../session.js';

/** `lifeboat doctor`: everything that the plan promises, checked now. Exits 1 when something failed. */
export function register(program: Command): void {
  program
    .command('doctor')
    .description('check everything that the plan promises, now')
    .option('--database <name>', 'the database; needed when the plan has several')
    .action(async (options: { database?: string }, command: Command) => {
      await withLifeboat(command, async (lifeboat) => {
        const database = theDatabase(lifeboat.plan, options.database);
        const { checks, bytes } = await lifeboat.doctor(database);
        const { estimateRto } = await import('../estimate.js');
        const estimate = await estimateRto(lifeboat, database, bytes[database]);
        const failed = checks.filter(({ result }) => result === 'fail').length;
        const warned = checks.filter(({ result }) => result === 'warn').length;
        if (failed > 0) process.exitCode = exitCodes.problems;
        if (globals(command).json) {
          printJson({ checks, estimate });
          return;
        }
        for (const { what, host, result, says, hint } of checks) {
          printLine(
            `${{ pass: '✔', warn: '!', fail: '✖' }[result]} ${result.padEnd(4)} ${(host ?? '').padEnd(8)} ${what}: ${says}`,
          );
          if (result !== 'pass' && hint) printLine(`${' '.repeat(16)}→ ${hint}`);
        }
        printLine(estimate);
        printLine(
          failed > 0
            ? `${failed} failed, ${warned} to look at.`
            : `Nothing failed, ${warned} to look at. Rehearse it: ${drillCommand}`,
        );
      });
    });
}
