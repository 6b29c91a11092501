import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Lifeboat } from '../../client/lifeboat.js';
import { tail } from '../../lab/child.js';
import type { CliResult, Lab } from '../../lab/lab.js';
import { GaveUp, until } from '../../lab/wait.js';
import { loadPlan } from '../../plan/load.js';
import type { Declared } from '../../vocabulary/declaration.js';
import { type IncidentState, type Mode, type Phase, titleOf } from '../../vocabulary/incident.js';
import type { Question } from '../../vocabulary/question.js';

/**
 * Going through an incident as on-call does: declare it, wait for what it asks, answer. What fails says how the
 * incident stands.
 */

const clients = new WeakMap<Lab, Promise<Lifeboat>>();

/** The typed client of a lab's system; one for each lab, closed by {@link disconnect}. */
export function lifeboatOf(lab: Lab): Promise<Lifeboat> {
  const known = clients.get(lab);
  if (known) return known;
  const made = (async () => {
    const before = { ...process.env };
    try {
      Object.assign(process.env, lab.env);
      return await Lifeboat.connect(await loadPlan(lab.planPath));
    } finally {
      for (const name of Object.keys(lab.env)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    }
  })();
  clients.set(lab, made);
  // Temporal may be away just now: who asks again connects again.
  made.catch(() => clients.delete(lab));
  return made;
}

/** Closes the client and ends the lab. */
export async function endLab(lab: Lab | undefined): Promise<void> {
  if (!lab) return;
  const client = await clients.get(lab)?.catch(() => undefined);
  await client?.close();
  clients.delete(lab);
  await lab.stop();
}

/** Control worker, agents, and a first full backup: the lab is protected. */
export async function protect(lab: Lab, ...more: string[][]): Promise<void> {
  await Promise.all([lab.startControl(), lab.startAgents()]);
  for (const args of [['backup', 'create', '--full'], ...more]) await ran(lab, args);
}

/**
 * A command that answers, by who has just read what is asked: an answer without the number of its question is not
 * taken.
 */
export async function answering(lab: Lab, args: string[]): Promise<string[]> {
  if (!['approve', 'decide'].includes(args[0]!) || args.includes('--question')) return args;
  const { question } = await stateOf(lab, args.includes('--drill') ? 'drill' : 'real').catch(() => ({
    question: undefined,
  }));
  return question ? [...args, '--question', String(question.id)] : args;
}

/** Runs a command that must succeed, and returns what it printed. */
export async function ran(lab: Lab, given: string[]): Promise<string> {
  const args = await answering(lab, given);
  const { code, stdout, stderr } = await lab.cli(args);
  if (code !== 0)
    throw new Error(`lifeboat ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}\n${await story(lab)}`);
  return stdout;
}

/** Runs a command that must be refused with this code and these words. */
export async function refused(lab: Lab, given: string[], code: number, says: RegExp): Promise<CliResult> {
  const args = await answering(lab, given);
  const result = await lab.cli(args);
  const text = result.stdout + result.stderr;
  if (result.code !== code || !says.test(text))
    throw new Error(
      `lifeboat ${args.join(' ')} ended with ${result.code} and not ${code}, or does not say ${String(says)}:\n${text}`,
    );
  if (/^\s+at .*:\d+:\d+/m.test(text)) throw new Error(`lifeboat ${args.join(' ')} prints a stack:\n${text}`);
  return result;
}

export interface DeclareOptions {
  to?: string;
  mode?: Mode;
  by?: string;
  vacuumFull?: boolean;
}

/** `lifeboat start database-corruption --detach`: returns when the request was checked. */
export async function declare(
  lab: Lab,
  options: DeclareOptions = {},
): Promise<Declared & { attached: boolean; code: number }> {
  const { to, mode = 'real', by = 'ben', vacuumFull } = options;
  const { code, stdout, stderr } = await lab.cli([
    ...(mode === 'drill' ? ['drill', 'start'] : ['start']),
    'database-corruption',
    ...['--detach', '--json', '--as', by],
    ...(to ? ['--to', to] : []),
    ...(vacuumFull ? ['--vacuum-full'] : []),
    ...(mode === 'dry-run' ? ['--dry-run'] : []),
  ]);
  if (code !== 0 && code !== 4)
    throw new Error(`the incident was not declared (exit ${code}): ${stdout}${stderr}\n${await story(lab, mode)}`);
  return { ...(JSON.parse(stdout) as Declared & { attached: boolean }), code };
}

export async function stateOf(lab: Lab, mode: Mode = 'real'): Promise<IncidentState> {
  return (await lifeboatOf(lab)).incident(mode).state();
}

/** Waits until the state of the incident is as it should be. `unless`: when waiting longer is pointless. */
export async function untilState(
  lab: Lab,
  what: string,
  good: (state: IncidentState) => boolean,
  {
    mode = 'real',
    seconds,
    unless,
  }: { mode?: Mode; seconds?: number | undefined; unless?: (state: IncidentState) => boolean } = {},
): Promise<IncidentState> {
  try {
    return await until(
      what,
      async () => {
        const state = await stateOf(lab, mode);
        if (good(state)) return state;
        if (unless?.(state)) throw new GaveUp(`${what}: it went another way`);
        return undefined;
      },
      seconds,
      200,
    );
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${await story(lab, mode)}`, { cause: error });
  }
}

const over: Phase[] = ['closed', 'refused', 'aborted', 'rolled back'];

/** Waits until the incident is in this phase. A question that nobody answers ends the waiting. */
export function untilPhase(lab: Lab, phase: Phase, mode: Mode = 'real', seconds?: number): Promise<IncidentState> {
  return untilState(lab, `the incident is ${phase}`, (state) => state.phase === phase, {
    mode,
    seconds,
    unless: ({ question, phase: now }) => question !== undefined || over.includes(now),
  });
}

/** Waits until a question of this kind is asked, about that step; a question of another kind ends the waiting. */
export async function untilQuestion(
  lab: Lab,
  kind: Question['kind'],
  step?: string,
  mode: Mode = 'real',
): Promise<IncidentState & { question: Question }> {
  const asked = ({ question }: IncidentState): boolean =>
    question?.kind === kind && (step === undefined || question.step === step);
  const state = await untilState(
    lab,
    `${kind === 'approval' ? 'an approval' : 'a decision'} is asked for${step ? ` (${step})` : ''}`,
    asked,
    {
      mode,
      unless: (now) =>
        (now.question !== undefined && !asked(now)) || over.includes(now.phase) || now.phase === 'recovered',
    },
  );
  return state as IncidentState & { question: Question };
}

/** Declares, approves what is asked for, and waits until the service is recovered. */
export async function recover(lab: Lab, options: DeclareOptions = {}): Promise<IncidentState> {
  await declare(lab, options);
  await untilQuestion(lab, 'approval', 'Approve');
  await ran(lab, ['approve', '--as', 'asha']);
  return untilPhase(lab, 'recovered');
}

/** Ends a recovered incident, so that the next one can be declared. */
export async function close(lab: Lab, reason = 'a test needs the next incident'): Promise<void> {
  await ran(lab, ['close', '--as', 'ben', '--leave-tasks-open', reason]);
  await untilPhase(lab, 'closed');
  await ended(lab);
}

/**
 * Ends what an earlier test left open, and opens what it left closed, so that one failure does not hide what the other
 * tests would say.
 */
export async function noIncident(lab: Lab): Promise<void> {
  const lifeboat = await lifeboatOf(lab);
  for (const mode of ['real', 'drill'] as const) {
    const incident = lifeboat.incident(mode);
    if (!(await incident.running().catch(() => false))) continue;
    console.error(`an earlier test left an incident open:\n${await story(lab, mode)}`);
    const { phase } = await incident.state();
    if (phase === 'recovered') await incident.closeIt({ by: 'test', leaveTasksOpen: 'left open by an earlier test' });
    else await incident.abort({ by: 'test', reason: 'left open by an earlier test', resume: true });
    await ended(lab, mode);
  }
  if (existsSync(join(lab.primary.dataDirectory, 'pg_hba.conf.lifeboat-open')))
    await lab.cli(['abort', '--resume', '--as', 'test']);
}

/** Waits until the workflow itself has ended: only then is the lock of the system free. */
export async function ended(lab: Lab, mode: Mode = 'real'): Promise<void> {
  const incident = (await lifeboatOf(lab)).incident(mode);
  await until('the end of the workflow', async () => !(await incident.running()), undefined, 50);
}

export const step = (state: IncidentState, name: string) => {
  const found = state.steps.findLast((one) => one.name === name);
  if (!found)
    throw new Error(`there was no step "${name}"; there were ${state.steps.map((one) => one.name).join(', ')}`);
  return found;
};
export const stepNames = (state: IncidentState): string[] => state.steps.map(titleOf);

/** How the incident stands and what everybody's log says last: for the message of a failed test. */
export async function story(lab: Lab, mode: Mode = 'real'): Promise<string> {
  const state = await stateOf(lab, mode).catch((error: unknown) => error as Error);
  const told =
    state instanceof Error
      ? `its state cannot be had: ${state.message}`
      : [
          `${state.id} (${state.mode}) is ${state.phase}${state.ending ? `: ${state.ending}` : ''}`,
          ...state.steps.map(
            (one) =>
              `  ${one.status.padEnd(8)} ${one.name}: ${one.problem ? `${one.problem.type ?? ''} ${one.problem.message}` : (one.summary ?? '')}`,
          ),
          ...state.warnings.map((warning) => `  warning: ${warning}`),
          ...(state.question
            ? [`  asked: ${state.question.text} [${state.question.choices.map(({ name }) => name).join(', ')}]`]
            : []),
        ].join('\n');
  const logs = [
    ...Object.values(lab.agents).map(({ log }) => log),
    lab.control?.log,
    lab.primary.log,
    lab.standby?.log,
  ].filter((log): log is string => log !== undefined);
  const ours = join(lab.directory, 'state', lab.system, 'db1', 'logs');
  return [
    told,
    ...[...logs, join(ours, 'main.log'), join(ours, 'main-scratch.log')].map((log) => `--- ${log}\n${tail(log, 12)}`),
  ].join('\n');
}
