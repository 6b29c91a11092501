import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Lab } from '../../lab/lab.js';
import { incidentWorkflowId } from '../../plan/names.js';
import type { IncidentState } from '../../workflows/state.js';
import { lifeboatOf, ran, untilState } from '../helpers/incident.js';
import { superviseAgents, type Supervised } from './supervisor.js';

/**
 * A walk over the points at which an agent can be killed (activities/checkpoint.ts): each agent kills itself the first time that it comes to
 * one, and is started again at once. One incident visits them all.
 */
export interface Walk {
  agents: Supervised[];
  /** `activity: point`, in the order in which agents died there. */
  visited(): string[];
  /** For the message of a failed test. */
  toString(): string;
}

/** `elsewhere`: points that another walk covers; nobody dies there. */
export async function startWalk(lab: Lab, elsewhere: string[] = []): Promise<Walk> {
  const file = join(lab.directory, 'walk.txt');
  const visited = (): string[] =>
    (existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []).filter((point) => !elsewhere.includes(point));
  writeFileSync(file, elsewhere.map((point) => `${point}\n`).join(''));
  return {
    agents: await superviseAgents(lab, { LIFEBOAT_FAULT_WALK: file }),
    visited,
    toString: () => `agents were killed at ${visited().length} points, at last at ${visited().slice(-3).join(', ')}`,
  };
}

const askedOrOver = ({ question, phase }: IncidentState): boolean =>
  question?.kind === 'decision' || ['refused', 'aborted'].includes(phase);

/** Waits for the approval to be asked for, with agents that die all the time. */
export async function untilApproval(lab: Lab, told: { toString(): string }): Promise<void> {
  await untilState(lab, `the approval is asked for (${told.toString()})`, ({ question }) => question?.kind === 'approval', {
    seconds: 540,
    unless: askedOrOver,
  }).catch((error: unknown) => {
    throw new Error(`${told.toString()}: ${(error as Error).message}`, { cause: error });
  });
}

export const approve = (lab: Lab): Promise<string> => ran(lab, ['approve', '--as', 'asha']);

export async function untilRecovered(lab: Lab, told: { toString(): string }): Promise<void> {
  await untilState(lab, 'the incident is recovered', ({ phase }) => phase === 'recovered', { seconds: 540, unless: askedOrOver }).catch(
    async (error: unknown) => {
      throw new Error([told.toString(), ...(await failedTasks(lab)), (error as Error).message].join('\n'), { cause: error });
    },
  );
}

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
    failed ? [`workflow task ${String(eventId)} failed: ${failed.failure?.message ?? ''} ${failed.failure?.cause?.message ?? ''}`] : [],
  );
}

/** Each of these was visited: `activity: when` begins a point's name. */
export function expectVisited(walk: Walk, wanted: Record<string, string[]>): void {
  const visited = walk.visited();
  const missing = Object.entries(wanted).flatMap(([activity, points]) =>
    ['begin', ...points, 'end'].map((point) => `${activity}: ${point}`).filter((name) => !visited.some((one) => one.startsWith(name))),
  );
  expect(missing, `points at which no agent was killed, of ${visited.length} in all:\n${visited.join('\n')}`).toEqual([]);
}
