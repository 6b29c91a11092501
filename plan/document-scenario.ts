import { databaseObjectives, hostAddress, onHost, placeOf, recoverable, servicesOf } from './access.js';
import { block, code, plain } from './markdown.js';
import { quarantineDirectory, restoredDirectory } from '../vocabulary/names.js';
import { scenarioTexts, type StepText } from './scenarios.js';
import type { DatabasePlan, Plan } from './schema.js';
import type { ScenarioName } from '../vocabulary/scenario.js';
import { controlCommand, planDuration, sentenceList } from './words.js';

/** One scenario as a chapter of the printed document: its symptoms, what to type, and its steps with the names of this plan. Gives lines of Markdown. Pure. */
export function scenarioChapter(plan: Plan, scenario: ScenarioName): string[] {
  const { title, symptoms, steps } = scenarioTexts[scenario];
  const databases = recoverable(plan);
  return [
    `### ${plain(title)} (${scenario})`,
    '',
    'Symptoms:',
    '',
    ...symptoms.map((symptom) => `- ${plain(symptom)}`),
    '',
    ...databases.flatMap((database) => inThisPlan(plan, database, scenario)),
    ...Object.keys(plan.databases).flatMap((database) => (databases.includes(database) ? [] : fromDumpsAlone(database, scenario))),
    ...(databases.length === 0 ? [] : theSteps(plan, databases, steps)),
  ];
}

function theSteps(plan: Plan, databases: string[], steps: readonly StepText[]): string[] {
  return [
    'Steps, in this order. Lifeboat does them; the words after "Here" are what it does in this system:',
    '',
    ...steps.flatMap(({ name, does, ...rest }, at) => [
      `${at + 1}. **${plain(name)}.** ${rest.when ? `*When ${plain(rest.when)}.* ` : ''}${plain(does)}`,
      ...databases.flatMap((database) => {
        const here = stepHere[name]?.(plan, database, plan.databases[database]!);
        return here ? [`${' '.repeat(`${at + 1}. `.length)}- Here${databases.length > 1 ? `, ${plain(database)}` : ''}: ${here}`] : [];
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

/** What a step means with the names of this plan, as Markdown. Steps without an entry mean the same everywhere. */
const stepHere: Record<string, (plan: Plan, name: string, database: DatabasePlan) => string | undefined> = {
  'Stop writes': (plan, database, { postgres }) => {
    const stops = servicesOf(plan, database).map((name) => {
      const service = plan.services[name]!;
      return `service ${plain(name)} on ${plain(sentenceList(service.hosts))} (${code(controlCommand(service.control, 'stop'))})`;
    });
    return `${stops.length > 0 ? `stops ${stops.join(', ')}` : 'no service of the plan writes to it'}; then closes the server on ${plain(postgres.primary)}, port ${onHost(postgres.port, postgres.primary)}.`;
  },
  'Assess the damage': (_plan, _database, { postgres, name }) =>
    `database ${code(name)} in ${code(dataDirectory(postgres))} on ${plain(postgres.primary)}.`,
  'Choose the backup': (plan, _database, { backups }) =>
    `looks in ${sentenceList((backups.physical?.locations ?? []).map((location) => `${plain(location)} (${code(placeOf(plan.locations[location]!))})`))}.`,
  'Restore beside': (plan, _database, { postgres }) =>
    `into ${code(restoredDirectory(dataDirectory(postgres), placeholder(plan)))} on ${plain(postgres.primary)}.`,
  'Verify the restored copy': (_plan, _database, { verify }) => {
    const rows = Object.keys(verify.rows).map(code);
    const queries = verify.queries.map(({ sql, expect }) => `${code(sql)} gives ${code(String(expect))}`);
    return rows.length + queries.length === 0
      ? undefined
      : [rows.length > 0 ? `counts ${sentenceList(rows)}` : '', ...queries].filter(Boolean).join('; ').concat('.');
  },
  Approve: (plan) =>
    plan.approvals.people > 1
      ? `${code('lifeboat approve')}, by another person than the one who declared the incident.`
      : `${code('lifeboat approve')}.`,
  'Put it in place': (plan, _database, { postgres }) =>
    `the damaged data goes to ${code(quarantineDirectory(dataDirectory(postgres), placeholder(plan)))}, and stays there until someone removes it.`,
  'Resume the service': (plan, database) => {
    const checks = servicesOf(plan, database).map((name) => {
      const { hosts, health } = plan.services[name]!;
      const urls = new Set(hosts.map((host) => health.url.replaceAll('{host}', hostAddress(plan, host))));
      return `${plain(name)} answers at ${sentenceList([...urls].map(code))} within ${planDuration(health.within)}`;
    });
    return checks.length > 0 ? `${sentenceList(checks)}.` : undefined;
  },
  Watch: (plan, database) => {
    const times = servicesOf(plan, database).map((name) => `${plain(name)} for ${planDuration(plan.services[name]!.watch)}`);
    return times.length > 0 ? `${sentenceList(times)}.` : undefined;
  },
  'Re-protect': (_plan, _database, { postgres, backups }) =>
    `full backup to ${plain(sentenceList(backups.physical?.locations ?? []))}${postgres.standbys.length > 0 ? `; rebuilds the standby on ${plain(sentenceList(postgres.standbys))}` : '; there is no standby'}.`,
};

/** Only a database with physical backups has steps, and those need one. */
const dataDirectory = ({ dataDirectory: given, primary }: DatabasePlan['postgres']): string =>
  given === undefined ? '' : onHost(given, primary);

/** How the name of an incident looks, before there is one. */
const placeholder = (plan: Plan): string => `${plan.system}-YYYYMMDD-HHMMSS`;
