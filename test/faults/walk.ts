import { join } from 'node:path';
import { expect } from 'vitest';
import type { Lab } from '../../lab/lab.js';
import { GaveUp, until } from '../../lab/wait.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import { phaseKey } from '../../workflows/search-attributes.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import { lifeboatOf, ran, stateOf, story } from '../helpers/incident.js';
import { pointsIn } from '../helpers/killed.js';
import { namesOf } from './points.js';
import { seedInWords } from './seed.js';
import { superviseAgents, type Supervised } from './supervisor.js';

/**
 * Agents that kill themselves the first time that they come to one of some points (activities/checkpoint.ts), and are
 * started again at once.
 */
export interface Walk {
  agents: Supervised[];
  /** `activity: point`, in the order in which agents died there. */
  visited(): string[];
  /** For the message of a failed test. */
  toString(): string;
}

export async function startWalk(lab: Lab, points: string[]): Promise<Walk> {
  const file = join(lab.directory, 'walk.txt');
  const visited = () => pointsIn(file);
  return {
    agents: await superviseAgents(lab, { LIFEBOAT_FAULT_WALK: file, LIFEBOAT_FAULT_ONLY: JSON.stringify(points) }),
    visited,
    toString: () => `of ${points.join(', ')}, agents were killed at ${visited().join(', ')} (${seedInWords()})`,
  };
}

const askedOrOver = ({ question, phase }: IncidentState): boolean =>
  question?.kind === 'decision' || ['refused', 'aborted'].includes(phase);

/**
 * Waits, with somebody dying all the time. What waits asks Temporal for the phase, and the incident itself only when
 * that has changed: an answer of the control worker is a replay of all that has happened, and it has enough to do.
 */
async function untilIs(
  lab: Lab,
  what: string,
  good: (state: IncidentState) => boolean,
  told: { toString(): string },
): Promise<void> {
  const look = async () => {
    const { temporal } = await lifeboatOf(lab);
    const incident = temporal.workflow.getHandle(incidentWorkflowId(lab.system));
    const { typedSearchAttributes } = await incident.describe();
    if (typedSearchAttributes.get(phaseKey) === 'open') return undefined;
    const state = await stateOf(lab);
    if (good(state)) return state;
    if (askedOrOver(state)) throw new GaveUp(`${what}: it went another way`);
    return undefined;
  };
  await until(what, look, 1500, 100).catch(async (error: unknown) => {
    const failed = await failedTasks(lab).catch(() => []);
    throw new Error([told.toString(), ...failed, (error as Error).message, await story(lab)].join('\n'), {
      cause: error,
    });
  });
}

export const untilApproval = (lab: Lab, told: { toString(): string }): Promise<void> =>
  untilIs(lab, 'the approval is asked for', ({ question }) => question?.kind === 'approval', told);

export const approve = (lab: Lab): Promise<string> => ran(lab, ['approve', '--as', 'asha']);

export const untilRecovered = (lab: Lab, told: { toString(): string }): Promise<void> =>
  untilIs(lab, 'the incident is recovered', ({ phase }) => phase === 'recovered', told);

/** From its declaration to its recovery, with the approval that it asks for. */
export async function recovering(lab: Lab, told: { toString(): string }): Promise<void> {
  await untilApproval(lab, told);
  await approve(lab);
  await untilRecovered(lab, told);
}

/** A workflow that cannot be replayed says so in its history alone. */
async function failedTasks(lab: Lab): Promise<string[]> {
  const { temporal } = await lifeboatOf(lab);
  const { events } = await temporal.workflow.getHandle(incidentWorkflowId(lab.system)).fetchHistory();
  return (events ?? []).flatMap(({ eventId, workflowTaskFailedEventAttributes: failed }) =>
    failed
      ? [
          `workflow task ${String(eventId)} failed: ${failed.failure?.message ?? ''} ${failed.failure?.cause?.message ?? ''}`,
        ]
      : [],
  );
}

/** Each of these was visited: a point's name begins so. */
export function expectDeaths(walk: Pick<Walk, 'visited'>, names: string[]): void {
  const visited = walk.visited();
  const missing = names.filter((name) => !visited.some((one) => one.startsWith(name)));
  expect(missing, `points at which no agent was killed, of ${visited.length} in all:\n${visited.join('\n')}`).toEqual(
    [],
  );
}

/** The same, of the points of some activities. */
export const expectVisited = (walk: Pick<Walk, 'visited'>, wanted: Record<string, string[]>): void =>
  expectDeaths(walk, namesOf(wanted));
