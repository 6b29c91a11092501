import { databaseObjectives, recoverable } from '../plan/access.js';
import { block, plain } from '../plan/markdown.js';
import type { Plan } from '../plan/schema.js';
import { planDuration } from '../plan/words.js';
import { scenarios } from '../scenarios/all.js';
import type { Scenario } from '../scenarios/scenario.js';
import type { ScenarioName } from '../vocabulary/scenario.js';

/**
 * One scenario as a chapter of the printed document: its symptoms, what to type, and its steps with the names of this
 * plan. Gives lines of Markdown. Pure.
 */
export function scenarioChapter(plan: Plan, scenario: ScenarioName): string[] {
  const { title, symptoms, steps } = scenarios[scenario];
  const databases = recoverable(plan);
  return [
    `### ${plain(title)} (${scenario})`,
    '',
    'Symptoms:',
    '',
    ...symptoms.map((symptom) => `- ${plain(symptom)}`),
    '',
    ...databases.flatMap((database) => inThisPlan(plan, database, scenario)),
    ...Object.keys(plan.databases).flatMap((database) =>
      databases.includes(database) ? [] : fromDumpsAlone(database, scenario),
    ),
    ...(databases.length === 0 ? [] : theSteps(plan, databases, steps)),
  ];
}

function theSteps(plan: Plan, databases: string[], steps: Scenario['steps']): string[] {
  return [
    'Steps, in this order. Lifeboat does them; the words after "Here" are what it does in this system:',
    '',
    ...steps.flatMap(({ name, does, when, here }, at) => [
      `${at + 1}. **${plain(name)}.** ${when ? `*When ${plain(when)}.* ` : ''}${plain(does)}`,
      ...databases.flatMap((database) => {
        const says = here?.(plan, database);
        return says
          ? [`${' '.repeat(`${at + 1}. `.length)}- Here${databases.length > 1 ? `, ${plain(database)}` : ''}: ${says}`]
          : [];
      }),
    ]),
    '',
    'When a step fails, it is tried again by itself; when that does not help, the incident waits and asks: try again, skip it with a reason, done by hand (and what), or abort. `lifeboat watch` shows the question and what to type. Nothing is destroyed until its replacement is verified.',
    '',
  ];
}

function inThisPlan(plan: Plan, database: string, scenario: ScenarioName): string[] {
  const { rto, rpo } = databaseObjectives(plan, database);
  return [
    `#### Database ${plain(database)}: what to type`,
    '',
    `RTO ${planDuration(rto)}, RPO ${planDuration(rpo)}.`,
    '',
    ...block(
      `lifeboat start ${scenario} --database ${database} --dry-run   # proves that it would work; changes nothing`,
      `lifeboat start ${scenario} --database ${database}             # assess; repair if that suffices, else restore the latest`,
      `lifeboat start ${scenario} --database ${database} --to "YYYY-MM-DDTHH:MM:SSZ"   # the data went wrong at a known time: go back to before it`,
      'lifeboat watch      # each step as it happens, and the questions',
      `lifeboat approve    # after you have read the figures of the restored copy${plan.approvals.people > 1 ? '; not by who declared the incident' : ''}`,
      'lifeboat report     # what happened, and the RTO and RPO really reached',
      'lifeboat close      # when the tasks after the recovery are done',
    ),
    'A time needs its offset: `Z` is UTC, `+05:30` is India. Take it from the clock of the database. An LSN or the label of a backup (`lifeboat backup list`) will do too.',
    '',
  ];
}

/** A database without physical backups: the scenario has nothing to restore from. */
function fromDumpsAlone(database: string, scenario: ScenarioName): string[] {
  return [
    `#### Database ${plain(database)}: by its dumps`,
    '',
    `${scenario} cannot run for it: the plan takes no physical backups of it, only dumps. What was written after a dump is lost. Restore one:`,
    '',
    ...block(
      `lifeboat backup list --database ${database}      # which there are, and which were proven`,
      `lifeboat backup restore ID --into NAME    # as another database, to look at it first`,
      `lifeboat backup restore ID --drop-existing   # in its place; the old one is renamed aside`,
    ),
  ];
}
