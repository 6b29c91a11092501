import { type Command, Option } from 'commander';
import { Expected, exitCodes, printJson, printLine } from '../output.js';
import { globals, theDatabase, withLifeboat } from '../session.js';
import type { Incident } from '../incident.js';
import type { ScenarioName } from '../../vocabulary/scenario.js';
import type { Declared } from '../../vocabulary/declaration.js';
import type { Mode } from '../../vocabulary/incident.js';

interface StartOptions {
  database?: string;
  to?: string;
  dryRun?: boolean;
  detach?: boolean;
  vacuumFull?: boolean;
}

type Options = StartOptions & { wait?: boolean };

/** `lifeboat start NAME`: declares an incident, or attaches to the one that is open, and follows it. */
export async function register(program: Command): Promise<void> {
  const start = program
    .command('start')
    .description('declare an incident and follow it; nothing is changed before the request was checked')
    .option('--dry-run', 'prove that every step could be done, and change nothing')
    .option('--detach', 'return as soon as the request was checked')
    .addOption(new Option('--wait', 'go on following while a person is asked: the default in a terminal').hideHelp())
    .addOption(new Option('--no-wait', 'return when a person is asked: the default elsewhere').hideHelp())
    .action(async (scenario: string, options: Options, command: Command) =>
      declare(command, scenario, options, options.dryRun ? 'dry-run' : 'real'),
    );
  await takesScenario(start);
}

/**
 * The scenarios, with their options and their words. They are loaded when somebody starts one: the other commands start
 * without their weight. `drill`: without what changes production.
 */
export async function takesScenario(command: Command, drill = false): Promise<void> {
  if (!process.argv.includes('start')) return void command.argument('<scenario>', 'the disaster');
  const { scenarios } = await import('../../scenarios/all.js');
  const all = Object.values(scenarios);
  command.argument('<scenario>', `the disaster: ${all.map(({ name }) => name).join(', ')}`);
  const offered = all.flatMap(({ options }) => options.filter(({ real }) => !drill || !real));
  for (const { flags, means } of new Map(offered.map((option) => [option.flags, option])).values())
    command.option(flags, means);
  for (const { name, title, options, steps } of all) {
    const own = options.filter(({ real }) => !drill || !real).map(({ flags }) => flags);
    command.addHelpText(
      'after',
      `\n${name}: ${title}\n  Takes: ${own.join(', ')}\n  Steps: ${steps.map((step) => step.name).join(', ')}`,
    );
  }
}

/** Declares, says which incident it is, and follows it. Shared with `drill start`. */
export async function declare(command: Command, name: string, options: Options, mode: Mode): Promise<void> {
  const scenario = await knownScenario(name, command);
  if (options.to !== undefined) {
    const { parseTarget } = await import('../../vocabulary/target.js');
    const target = parseTarget(options.to);
    if (target.kind === 'time' && Date.parse(target.iso) > Date.now()) {
      throw new Expected(
        `The target ${options.to} is in the future; it is ${new Date().toISOString()} now.`,
        'Give a moment before the damage. Nothing was changed.',
      );
    }
  }
  await withLifeboat(command, async (lifeboat, { by, json, prefix }) => {
    if (by === '')
      throw new Expected('Who declares this incident?', 'Say who you are: --as NAME, or set LIFEBOAT_USER.');
    const database = theDatabase(lifeboat.plan, options.database);
    const { incident, declared, attached } = await lifeboat.declare(scenario, {
      database,
      declaredBy: by,
      mode,
      ...(options.to ? { target: options.to } : {}),
      ...(options.vacuumFull ? { vacuumFull: true } : {}),
    });
    const say = json ? (line: string) => process.stderr.write(`${line}\n`) : printLine;
    if (attached) {
      await joined(incident, declared, { ...options, scenario, database, mode }, { command, say });
      return;
    }
    if (mode === 'real')
      say(
        `Incident ${declared.id} is declared. It goes on by itself, also when this terminal is closed; come back with: ${prefix} watch`,
      );
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

/**
 * Another one is open, and a system has one at a time: that is shown, but what was asked for was not begun, and no
 * script may take the success of the other one for its own. Who asked for something else is told both. Exit code 3.
 * Throws {@link Expected}.
 */
async function joined(
  incident: Incident,
  declared: Declared,
  wanted: StartOptions & Pick<Declared['of'], 'scenario' | 'database' | 'mode'>,
  { command, say }: { command: Command; say: (line: string) => unknown },
): Promise<void> {
  const { json, prefix } = globals(command);
  const { id, of } = declared;
  const { declaredBy } = await incident.state();
  const drill = of.mode === 'real' ? '' : ' --drill';
  const what = { real: 'An incident', drill: 'A drill', 'dry-run': 'A dry run' }[of.mode];
  if (declared.answer === 'refused') {
    const one = { real: 'Incident', drill: 'Drill', 'dry-run': 'Dry run' }[of.mode];
    const { message = '', hint = '' } = declared.problem ?? {};
    throw new Expected(
      `${one} ${id} was open already, declared by ${declaredBy}, and was refused at its check: ${message}. Yours was not begun, and nothing was changed.`,
      `${hint ? `${hint.replace(/\.$/, '')}. ` : ''}Then say it again.`,
      exitCodes.refused,
    );
  }
  const open = `${what} is open already: ${id} (${of.scenario} of ${of.database}, declared by ${declaredBy})`;
  const other = await differences(of, wanted);
  if (other.length > 0) {
    throw new Expected(
      `${open}. It is not what you asked for, and nothing new was started: ${other.join('; ')}.`,
      `Follow it: ${prefix} watch${drill}. When it asks, it takes another target: ${prefix} decide restore --to TARGET${drill}. To end it first: ${prefix} abort --reason "..."${drill}`,
      exitCodes.refused,
    );
  }
  say(
    `${open}, target ${of.target}. A system has one at a time: nothing new was started. Follow that one: ${prefix} watch${drill}`,
  );
  process.exitCode = exitCodes.refused;
  if (json) printJson({ ...declared, attached: true });
  // For a person at a terminal: that one is what there is to see.
  if (wanted.detach || json || !process.stdout.isTTY) return;
  const { follow } = await import('../follow.js');
  await follow(incident, globals(command), { wait: true });
}

/** What was asked for and is not what the open one does, each with both. */
async function differences(
  of: Declared['of'],
  wanted: StartOptions & Pick<Declared['of'], 'scenario' | 'database' | 'mode'>,
) {
  const { parseTarget } = await import('../../vocabulary/target.js');
  const target = (text: string) => JSON.stringify(parseTarget(text));
  const said = (what: string, theirs: string, yours: string) => `its ${what} is ${theirs}, and you asked for ${yours}`;
  return [
    ...(['scenario', 'database', 'mode'] as const).flatMap((what) =>
      of[what] === wanted[what] ? [] : [said(what, of[what], wanted[what])],
    ),
    ...(wanted.to === undefined || target(wanted.to) === target(of.target)
      ? []
      : [said('target', of.target, wanted.to)]),
    ...(wanted.vacuumFull && !of.vacuumFull ? ['you asked for --vacuum-full, and it was declared without'] : []),
  ];
}

/** Throws {@link Expected} when there is no such scenario, or it does not take what was given. */
async function knownScenario(name: string, command: Command): Promise<ScenarioName> {
  const { scenarios } = await import('../../scenarios/all.js');
  const all = Object.values(scenarios);
  const known = all.find((one) => one.name === name);
  if (!known)
    throw new Expected(`There is no scenario "${name}".`, `There is: ${all.map((one) => one.name).join(', ')}`);
  const others = all
    .flatMap(({ options }) => options.map(({ flags }) => flags))
    .filter((flags) => !known.options.some((one) => one.flags === flags));
  const given = command.options.find(
    (option) => others.includes(option.flags) && command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (given)
    throw new Expected(
      `${name} takes no ${given.long ?? given.flags}.`,
      `It takes ${known.options.map(({ flags }) => flags).join(', ')}.`,
    );
  return name as ScenarioName;
}
