import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { globals, withLifeboat } from '../session.js';
import type { Schedules } from '../schedules.js';

/** `lifeboat schedules apply|list|pause|resume`: the plan's backups and drills, as Temporal Schedules. */
export function register(program: Command): void {
  const schedules = program.command('schedules').description('the schedules of backups and drills');
  const on = (name: string, description: string, work: (schedules: Schedules, reason: string) => Promise<unknown[]>) =>
    schedules
      .command(name)
      .description(description)
      .option('--reason <text>', 'for the record', `by lifeboat schedules ${name}`)
      .action(async ({ reason }: { reason: string }, command: Command) => {
        await withLifeboat(command, async (lifeboat) => {
          const all = await import('../schedules.js');
          const lines = await work(new all.Schedules(lifeboat), reason);
          if (globals(command).json) printJson(lines);
          else if (lines.length === 0) printLine('The plan has no schedule, and none is applied.');
          else for (const line of lines as { id: string; says: string }[]) printLine(`${line.id}: ${line.says}`);
        });
      });
  on('apply', 'make the schedules as the plan says; those that it no longer has are removed', (all) => all.apply());
  on('list', 'what is scheduled, and when next', (all) => all.list());
  on('pause', 'pause all of them', (all, reason) => all.pause(reason));
  on('resume', 'resume all of them', (all, reason) => all.resume(reason));
}
