import { randomBytes } from 'node:crypto';
import { Client, Connection, type WorkflowHandle, WithStartWorkflowOperation } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';
import { renderView } from '../../client/view.js';
import { until } from '../../lab/wait.js';
import { type IncidentState, titleOf } from '../../vocabulary/incident.js';
import { controlQueue, hostQueue, recoveredWorkflowId } from '../../vocabulary/names.js';
import type { Decision, Question } from '../../vocabulary/question.js';
import { factsOf, going } from '../helpers/scripted.js';
import { ownTemporal } from '../helpers/temporal.js';

/**
 * What a scenario of several components needs of an incident: branches side by side, several open questions, and to go
 * over into another scenario.
 */
describe('an incident of several parts', { timeout: 900_000 }, () => {
  const server = ownTemporal('ERROR', { 'limit.historyCount.suggestContinueAsNew': 60 });
  const services = ['web', 'mail'].map((name) => ({ name, hosts: ['db1'] }));
  let bundle: WorkflowBundleWithSourceMap;
  let connection: Connection;
  let native: NativeConnection;
  beforeAll(async () => {
    bundle = await bundleWorkflowCode({
      workflowsPath: new URL('./side-by-side/workflows.ts', import.meta.url).pathname,
      logger: new DefaultLogger('ERROR'),
      webpackConfigHook: (config) => ({
        ...config,
        resolve: { ...config.resolve, extensionAlias: { '.js': ['.ts', '.js'] } },
      }),
    });
    const { temporal: address } = server;
    [connection, native] = await Promise.all([Connection.connect({ address }), NativeConnection.connect({ address })]);
  });
  afterAll(async () => {
    await Promise.all([connection.close(), native.close()]);
  });

  let system: string;
  let starts: Record<string, () => unknown>;
  let incident: WorkflowHandle;
  let stop: () => Promise<void>;
  beforeEach(async () => {
    system = `parts-${randomBytes(4).toString('hex')}`;
    starts = {};
    const doing = Object.fromEntries(
      Object.entries({
        ...going,
        readPlan: () => factsOf({ services }),
        startService: async ({ service }: { service: string }) =>
          (await starts[service]?.()) ?? { summary: `${service} runs` },
      }).map(([name, work]) => [name, async (input: never) => work(input)]),
    );
    const common = { connection: native, namespace: 'default', shutdownGraceTime: 0, activities: doing };
    const workers = await Promise.all([
      Worker.create({ ...common, taskQueue: controlQueue(system), workflowBundle: bundle }),
      Worker.create({ ...common, taskQueue: hostQueue(system, 'db1') }),
    ]);
    const running = workers.map((worker) => worker.run());
    stop = async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
    };
  });
  afterEach(async () => {
    await incident.terminate().catch(() => undefined);
    await stop();
    const { workflow } = new Client({ connection });
    for await (const { workflowId, runId } of workflow.list({ query: `WorkflowId = '${system}'` })) {
      const handle = workflow.getHandle(workflowId, runId);
      await Worker.runReplayHistory({ workflowBundle: bundle }, await handle.fetchHistory());
    }
  });

  const state = () => incident.query<IncidentState>('state');
  const untilState = (what: string, good: (now: IncidentState) => boolean) =>
    until(what, async () => {
      const now = await state();
      return good(now) ? now : undefined;
    });
  const decide = (decision: Partial<Decision>) =>
    incident.executeUpdate<string, [object]>('decide', { args: [{ by: 'asha', reason: 'a test', ...decision }] });
  const about = (now: IncidentState, lane: string): Question => now.questions.find((one) => one.lane === lane)!;
  const declare = async (workflow: string, scenario: string) => {
    const input = { system, scenario, database: 'main', declaredBy: 'ben', mode: 'real', planDigest: 'as-declared' };
    incident = new Client({ connection }).workflow.getHandle(system);
    await new Client({ connection }).workflow.start(workflow, {
      workflowId: system,
      taskQueue: controlQueue(system),
      args: [input],
    });
  };

  test('a part that fails asks, and the others go on beside; each question is answered by its number', async () => {
    starts['mail'] = () => {
      throw ApplicationFailure.nonRetryable('the mail is gone', 'CommandFailed', { hint: 'look for it' });
    };
    await declare('severalParts', 'several-parts');
    const both = await untilState('both ask', ({ questions }) => questions.length === 2);
    expect(both.phase).toBe('waiting');
    expect(about(both, 'mail')).toMatchObject({
      kind: 'decision',
      step: 'Restore a part',
      problem: { message: 'the mail is gone' },
    });
    expect(about(both, 'web')).toMatchObject({ kind: 'approval', step: 'Go on', text: 'Go on with web?' });
    expect(both.question, 'the oldest one').toEqual(both.questions[0]);
    const drawn = renderView({
      state: both,
      progress: [],
      now: new Date(),
      width: 120,
      color: false,
      commandPrefix: 'lifeboat',
    }).join('\n');
    for (const { id } of both.questions) expect(drawn).toMatch(new RegExp(`--question ${id}`));
    expect(drawn).toMatch(/Restore a part mail .*waits for a person/);

    await expect(decide({ choice: 'take-it' }), 'without a number').rejects.toMatchObject({
      cause: { message: expect.stringMatching(/Several questions are open.*\(mail\).*/) },
    });
    await expect(
      decide({ choice: 'take-it', question: about(both, 'mail').id }),
      'what the other one offers',
    ).rejects.toThrow();
    await decide({ choice: 'take-it', question: about(both, 'web').id });
    const one = await state();
    expect(one, 'the other one is still open').toMatchObject({ phase: 'waiting', questions: [{ lane: 'mail' }] });
    await expect(decide({ choice: 'take-it', question: about(both, 'web').id }), 'answered already').rejects.toThrow();

    delete starts['mail'];
    await decide({ choice: 'retry', question: about(one, 'mail').id });
    const again = await untilState('mail asks whether to go on', ({ questions }) => questions[0]?.step === 'Go on');
    await decide({ choice: 'take-it', question: again.questions[0]!.id });
    const { steps } = await untilState('it is recovered', ({ phase }) => phase === 'recovered');
    expect(steps.map((step) => [titleOf(step), step.status, step.attempts]).sort()).toEqual(
      [
        ['Look around', 'done', 1],
        ['Restore a part web', 'done', 1],
        ['Restore a part mail', 'done', 2],
        ['Go on web', 'done', 1],
        ['Go on mail', 'done', 1],
      ].sort(),
    );
  });

  test('an abort answers none of them: all that was begun is settled', async () => {
    await declare('severalParts', 'several-parts');
    await untilState('both ask', ({ questions }) => questions.length === 2);
    await incident.executeUpdate('abort', { args: [{ by: 'asha', reason: 'enough', resume: false }] });
    const aborted = await untilState('it is aborted', ({ phase }) => phase === 'aborted');
    expect(aborted.questions).toEqual([]);
    expect(aborted.ending).toBe('What was begun on db1 is stopped; what was begun on db1 is stopped');
  });

  test('it goes over into another scenario with its name, timeline, clock and lock', async () => {
    await declare('firstLook', 'first-look');
    // As lifeboat start does: it waits for the answer, and the incident must not wait for it.
    const declared = incident.executeUpdate('declared');
    const over = await untilState('the other one asks', ({ questions }) => questions.length === 2);
    expect(await declared).toMatchObject({ answer: 'accepted', id: over.id });
    const { startTime, memo } = await incident.describe();
    expect(over).toMatchObject({ scenario: 'several-parts', title: 'Several parts at once' });
    expect(over.steps.map(({ name }) => name).slice(0, 2), 'what was done before').toEqual([
      'Look around',
      'Look around',
    ]);
    expect(Date.parse(over.declaredAt), 'the clock runs from the declaration').toBeLessThan(startTime.getTime());
    expect(memo, 'by which it is listed').toMatchObject({ incident: over.id, declaredAt: over.declaredAt });
    expect(over.warnings).toEqual(['it went over from first-look into several-parts']);
    expect(
      over.questions.map(({ id }) => id),
      'no number is used twice',
    ).toEqual([1, 2]);
    for (const { id } of over.questions) await decide({ choice: 'take-it', question: id });
    const { measured } = await untilState('it is recovered', ({ phase }) => phase === 'recovered');
    expect(measured.rtoSeconds).toBeGreaterThan((startTime.getTime() - Date.parse(over.declaredAt)) / 1000);
  });

  test('what an earlier scenario stopped is settled by the one that it went over into', async () => {
    await declare('stopsFirst', 'stops-first');
    const { questions, scenario } = await untilState('it asks', (now) => now.questions.length > 0);
    expect(scenario).toBe('closer-look');
    const abort = questions[0]!.choices.find(({ name }) => name === 'abort')!;
    expect(abort.meaning).toBe('end the incident; writes stay stopped unless you say --resume');
    await incident.executeUpdate('abort', { args: [{ by: 'asha', reason: 'enough', resume: false }] });
    const aborted = await untilState('it is aborted', ({ phase }) => phase === 'aborted');
    expect(aborted.ending).toMatch(/services that were stopped stay stopped/);
  });

  test('an abort that is heard before it has begun ends it, and no step is taken', async () => {
    const input = {
      system,
      scenario: 'several-parts',
      database: 'main',
      declaredBy: 'ben',
      mode: 'real',
      planDigest: 'as-declared',
    };
    const { workflow } = new Client({ connection });
    incident = workflow.getHandle(system);
    const startWorkflowOperation = new WithStartWorkflowOperation('severalParts', {
      ...{ workflowId: system, taskQueue: controlQueue(system), args: [input] },
      workflowIdConflictPolicy: 'FAIL',
    });
    await workflow.executeUpdateWithStart('abort', {
      args: [{ by: 'asha', reason: 'a slip', resume: false }],
      startWorkflowOperation,
    });
    expect(await untilState('it is aborted', ({ phase }) => phase === 'aborted')).toMatchObject({
      steps: [],
      ending: 'Nothing was changed',
    });
  });

  test('one that waits for its tasks goes on in a new run when its history is long, and is found by its name', async () => {
    await declare('severalParts', 'several-parts');
    const { questions, id } = await untilState('both ask', (now) => now.questions.length === 2);
    for (const one of questions) await decide({ choice: 'take-it', question: one.id });
    await untilState('it is recovered', ({ phase }) => phase === 'recovered');
    const { workflow } = new Client({ connection });
    const waits = workflow.getHandle(recoveredWorkflowId(system, id));
    const { runId } = await until('it waits for its tasks', () => waits.describe().catch(() => undefined));
    const texts = Array.from({ length: 30 }, (_, n) => `note ${n}`);
    for (const text of texts)
      await until(`${text} is taken`, () =>
        waits.executeUpdate('note', { args: [{ by: 'asha', text }] }).catch(() => ''),
      );
    const now = await waits.describe();
    expect(now.runId).not.toBe(runId);
    const { notes, phase, tasks } = await waits.query<IncidentState>('state');
    expect([notes.map(({ text }) => text), phase]).toEqual([texts, 'recovered']);
    const found = await until('both are found', async () => {
      const all = [];
      for await (const one of workflow.list({
        query: `LifeboatIncident = '${id}' AND LifeboatComponent = 'main' AND LifeboatHost = 'db1'`,
      }))
        all.push(one.workflowId);
      return all.length >= 2 ? all : undefined;
    });
    expect(new Set(found)).toEqual(new Set([system, recoveredWorkflowId(system, id)]));
    expect(tasks.length).toBeGreaterThan(0);
    await waits.executeUpdate('close', { args: [{ by: 'asha', leaveTasksOpen: 'a test' }] });
    expect(await waits.result()).toMatchObject({ phase: 'closed' });
  });
});
