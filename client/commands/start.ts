import { type Command, Option } from 'commander';
import { Expected, exitCodes, printJson, printLine } from '../output.js';
import { globals, theDatabase, withLifeboat } from '../session.js';
import type { ScenarioName } from '../../plan/schema.js';
import type { Mode } from '../../workflows/state.js';

interface StartOptions {
  database?: string;
  to?: string;
  dryRun?: boolean;
  detach?: boolean;
  vacuumFull?: boolean;
}

/** `lifeboat start <scenario>`: declares an incident, or attaches to the one that is open, and follows it. */
export function register(program: Command): void {
  program
    .command('start')
    .description('declare an incident and follow it; nothing is changed before the request was checked')
    .argument('<scenario>', 'the disaster: database-corruption')
    .option('--database <name>', 'the database; needed when the plan has several')
    .option('--to <target>', 'restore to: latest, a time with its offset (2026-11-21T03:15:00Z), an LSN, or the label of a backup')
    .option('--vacuum-full', 'when a repair suffices, rewrite the tables too')
    .option('--dry-run', 'prove that every step could be done, and change nothing')
    .option('--detach', 'return as soon as the request was checked')
    .addOption(new Option('--wait', 'go on following while a person is asked: the default in a terminal').hideHelp())
    .addOption(new Option('--no-wait', 'return when a person is asked: the default elsewhere').hideHelp())
    .action(async (scenario: string, options: StartOptions & { wait?: boolean }, command: Command) =>
      declare(command, scenario, options, options.dryRun ? 'dry-run' : 'real'),
    );
}

/** Declares, says which incident it is, and follows it. Shared with `drill start`. */
export async function declare(command: Command, scenario: string, options: StartOptions & { wait?: boolean }, mode: Mode): Promise<void> {
  const name = await knownScenario(scenario);
  if (options.to !== undefined) {
    const { parseTarget } = await import('../../plan/target.js');
    const target = parseTarget(options.to);
    if (target.kind === 'time' && Date.parse(target.iso) > Date.now()) {
      throw new Expected(
        `The target ${options.to} is in the future; it is ${new Date().toISOString()} now.`,
        'Give a moment before the damage. Nothing was changed.',
      );
    }
  }
  await withLifeboat(command, async (lifeboat, { by, json, prefix }) => {
    if (by === '') throw new Expected('Who declares this incident?', 'Say who you are: --as NAME, or set LIFEBOAT_USER.');
    const database = theDatabase(lifeboat.plan, options.database);
    const { incident, declared, attached } = await lifeboat.declare(name, {
      database,
      declaredBy: by,
      mode,
      ...(options.to ? { target: options.to } : {}),
      ...(options.vacuumFull ? { vacuumFull: true } : {}),
    });
    const say = json ? (line: string) => process.stderr.write(`${line}\n`) : printLine;
    if (attached) {
      const { declaredBy, database: theirs, scenario: running } = await incident.state();
      say(
        `An incident is open already: ${declared.id} (${running} of ${theirs}, declared by ${declaredBy}). A system has one at a time: nothing new was started, this is that one.`,
      );
    } else if (mode === 'real')
      say(`Incident ${declared.id} is declared. It goes on by itself, also when this terminal is closed; come back with: ${prefix} watch`);
    else say(`${mode === 'drill' ? 'Drill' : 'Dry run'} ${declared.id} has begun: nothing of production is changed.`);
    if (declared.answer === 'refused') {
      throw new Expected(
        `Refused, and nothing was changed: ${declared.problem?.message ?? ''}`,
        declared.problem?.hint ?? '',
        exitCodes.refused,
      );
    }
    if (options.detach) {
      if (json) printJson({ ...declared, attached });
      process.exitCode = declared.answer === 'waiting' ? exitCodes.waiting : exitCodes.done;
      return;
    }
    const { follow } = await import('../follow.js');
    process.exitCode = await follow(incident, globals(command), { wait: options.wait ?? process.stdout.isTTY });
  });
}

async function knownScenario(scenario: string): Promise<ScenarioName> {
  const { scenarioTexts } = await import('../../plan/scenarios.js');
  if (scenario in scenarioTexts) return scenario as ScenarioName;
  throw new Expected(`There is no scenario "${scenario}".`, `There is: ${Object.keys(scenarioTexts).join(', ')}`);
}
