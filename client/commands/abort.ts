import type { Command } from 'commander';
import { printJson, printLine } from '../output.js';
import { theDatabase, withLifeboat } from '../session.js';
import { refusePlaceholder } from './decide.js';
import { drillOption, incidentOption, ofIncident } from '../which-incident.js';

interface Ending {
  reason?: string;
  resume?: boolean;
  drill?: boolean;
  database?: string;
  incident?: string;
}

/** `lifeboat abort`: ends the open incident in a stated, safe state. */
export function register(program: Command): void {
  program
    .command('abort')
    .description('end the open incident; what was stopped stays stopped unless --resume is given')
    .option('--reason <text>', 'why, for the record')
    .option(
      '--resume',
      'open the database and start the services as they stand; also after an incident that ended closed',
    )
    .addOption(drillOption())
    .option('--database <name>', 'with --resume, when no incident is open')
    .addOption(incidentOption())
    .action(async ({ reason, resume = false, drill, database, incident: id }: Ending, command: Command) => {
      refusePlaceholder(reason);
      await withLifeboat(command, async (lifeboat, { by, json, prefix }) => {
        const incident = lifeboat.incident(drill ? 'drill' : 'real', id);
        // One that waits for its tasks holds nothing, and is no reason not to open the database.
        if (resume && !drill && id === undefined && !(await lifeboat.locked())) {
          const said = await lifeboat.resume(theDatabase(lifeboat.plan, database), `resume-by-${by}`);
          if (json) printJson({ said });
          else printLine(`Resumed: ${said}`);
          return;
        }
        const said = await incident.abort({ by, reason: reason ?? '', resume });
        if (json) printJson({ said });
        else printLine(`${said}. How it ends: ${prefix} watch${ofIncident(id)}`);
      });
    });
}
