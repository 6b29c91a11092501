import { Worker } from '@temporalio/worker';
import { afterEach, beforeEach } from 'vitest';
import type { Incident } from '../../client/incident.js';
import type { IncidentSummary } from '../../client/lifeboat.js';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import { workflowBundle } from '../../worker/run-worker.js';
import type { IncidentInput } from '../../vocabulary/declaration.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import { type Scripted, scripted } from './scripted.js';
import { ownTemporal } from './temporal.js';

/** What tests of several incidents do with them. */
export interface People {
  /** Of the test that runs. */
  readonly now: Scripted;
  declare(more?: Partial<IncidentInput>): ReturnType<Scripted['lifeboat']['declare']>;
  named(id: string): Incident;
  listed(id: string): Promise<IncidentSummary>;
  /** Declares one and takes it to where its tasks are open. Names are of the second in which it was declared. */
  recover(): Promise<string>;
  untilNamed(id: string, what: string, good: (state: IncidentState) => boolean): Promise<IncidentState>;
}

/**
 * For a file of tests: one Temporal, and a system of its own for each test, of which every run of every incident is
 * replayed when it is over.
 */
export function people(): People {
  const server = ownTemporal();
  let now: Scripted;
  beforeEach(async () => {
    now = await scripted(server);
  });
  afterEach(async () => {
    const { workflow } = now.lifeboat.temporal;
    for await (const { workflowId, runId } of workflow.list({
      query: `WorkflowId STARTS_WITH '${incidentWorkflowId(now.system)}'`,
    }))
      await Worker.runReplayHistory(
        { workflowBundle: workflowBundle() },
        await workflow.getHandle(workflowId, runId).fetchHistory(),
      );
    await now.stop();
  });

  const declare: People['declare'] = (more = {}) =>
    now.lifeboat.declare('database-corruption', { database: 'main', declaredBy: 'ben', mode: 'real', ...more });
  const named = (id: string) => now.lifeboat.incident('real', id);
  return {
    get now() {
      return now;
    },
    declare,
    named,
    listed: (id) =>
      until(`${id} is listed`, async () => (await now.lifeboat.incidents()).find((one) => one.id === id), 90, 100),
    untilNamed: (id, what, good) =>
      until(
        what,
        async () => {
          const state = await named(id).state();
          return good(state) ? state : undefined;
        },
        90,
        100,
      ),
    async recover() {
      const { declared } = await until(
        'a second has passed',
        async () => {
          const made = await declare();
          return made.attached ? undefined : made;
        },
        20,
        300,
      );
      const { id } = declared;
      const { question } = await now.untilState(
        'the approval',
        (state) => state.id === id && state.question !== undefined,
      );
      await now.lifeboat.incident().approve({ by: 'asha', question: question!.id });
      await until('the lock is free', async () => !(await now.lifeboat.locked()), 90, 100);
      await until('it waits for its tasks', async () => (await named(id).state()).phase === 'recovered', 90, 100);
      return id;
    },
  };
}
