import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { withLifeboat } from '../session.js';
import { drillOption, incidentOption } from '../which-incident.js';

/** `lifeboat note <text>`: a line of the timeline; with --task, a post-recovery task is done. */
export function register(program: Command): void {
  program
    .command('note')
    .description('add a note to the timeline of the open incident; --task ticks a post-recovery task')
    .argument('<text>', 'what there is to say')
    .addOption(drillOption())
    .option('--task <name>', 'root-cause, document-update, debrief, improvement, customer-report')
    .addOption(incidentOption())
    .action(
      async (
        text: string,
        { task, drill, incident: id }: { task?: string; drill?: boolean; incident?: string },
        command: Command,
      ) => {
        await withLifeboat(command, async (lifeboat, { by, json }) => {
          const said = await lifeboat
            .incident(drill ? 'drill' : 'real', id)
            .note({ by, text, ...(task ? { task } : {}) });
          if (json) printJson({ said });
          else printLine(said);
        });
      },
    );
}
