import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { withLifeboat } from '../session.js';
import { incidentOption, ofIncident } from '../which-incident.js';

/** `lifeboat close`: the incident is done with; after it nothing can be rolled back any more. */
export function register(program: Command): void {
  program
    .command('close')
    .description('close a recovered incident; its tasks must be done, or left open with a reason')
    .option('--leave-tasks-open <reason>', 'close it although tasks are open')
    .addOption(incidentOption())
    .action(
      async ({ leaveTasksOpen, incident: id }: { leaveTasksOpen?: string; incident?: string }, command: Command) => {
        await withLifeboat(command, async (lifeboat, { by, json, prefix }) => {
          const incident = lifeboat.incident('real', id);
          const { quarantine, id: name } = await incident.state();
          await incident.closeIt({ by, ...(leaveTasksOpen ? { leaveTasksOpen } : {}) });
          if (json) {
            printJson({ closed: true, quarantine });
            return;
          }
          printLine(`Closed. The report: ${prefix} report${ofIncident(name)}`);
          for (const { host, path, what } of quarantine)
            printLine(`Kept on ${host} until you remove it: ${path} (${what})`);
        });
      },
    );
}
