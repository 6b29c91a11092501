import { randomBytes } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { PlanFacts } from '../../vocabulary/plan-facts.js';
import { GaveUp, until } from '../../lab/wait.js';
import { controlQueue, hostQueue } from '../../vocabulary/names.js';
import { workflowBundle } from '../../worker/run-worker.js';
import type { Decision, Question } from '../../vocabulary/question.js';
import type { IncidentInput } from '../../vocabulary/declaration.js';
import type { IncidentState, Mode } from '../../vocabulary/incident.js';
import { factsOf, going, onControl } from './scripted.js';

/**
 * Many incidents at once against a real Temporal, with hosts that do what the test says of each of them: for every
 * decision that a scenario can come to, without a database, in seconds.
 */

/** Of one incident: what its activities give instead of what a recovery that goes well gives. */
export type Script = Record<string, (input: never) => unknown>;

export interface Call {
  activity: string;
  form: 'execute' | 'rehearse';
}

/** The `nth` call of an activity in an incident, from 1. */
export interface NthCall {
  activity: string;
  nth: number;
}

export interface Staged {
  handle: WorkflowHandle;
  /** In the order in which they began. */
  calls: Call[];
  /** May be changed while it runs. */
  script: Script;
  state(): Promise<IncidentState>;
  /** Waits until a question is open, and gives it; answered ones are over. */
  question(step?: string): Promise<Question>;
  /** Answers the open question. */
  answer(decision: Omit<Decision, 'by' | 'question'> & { by?: string }): Promise<string>;
  /** Waits for one of these phases; a question is no end. */
  ends(): Promise<IncidentState>;
}

export interface FakeHosts {
  stage(options: {
    mode: Mode;
    script?: Script;
    plan?: Partial<PlanFacts>;
    input?: Partial<IncidentInput>;
  }): Promise<Staged>;
  /**
   * The activity that each step calls first, and which call of it that is: from the history of an incident that is
   * over.
   */
  stepsOf(staged: Staged): Promise<Map<string, NthCall>>;
  stop(): Promise<void>;
}

const names = { database: 'main', declaredBy: 'ben' };

export async function fakeHosts(address: string): Promise<FakeHosts> {
  // An incident is named by its second: several systems have as many a second.
  const systems = Array.from({ length: 5 }, () => ({
    name: `staged-${randomBytes(4).toString('hex')}`,
    turn: Promise.resolve(),
  }));
  const [connection, native] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const client = new Client({ connection });
  const staged = new Map<string, Staged & { plan: PlanFacts }>();
  const activity = (name: string) => async (input: never) => {
    const { workflowId } = Context.current().info.workflowExecution!;
    // One that waits for its tasks, or is rolled back, goes on under another ID: by the name that every input has.
    const of = staged.get(workflowId);
    if (!of) return going[name]?.(input);
    of.calls.push({ activity: name, form: (input as { form: Call['form'] }).form });
    const gives = of.script[name] ?? (name === 'readPlan' ? () => of.plan : going[name]);
    if (!gives) throw ApplicationFailure.nonRetryable(`the test does not say what ${name} does`);
    return await gives(input);
  };
  const made = (all: string[]) => Object.fromEntries(all.map((name) => [name, activity(name)]));
  const common = {
    connection: native,
    namespace: 'default',
    shutdownGraceTime: 0,
    maxConcurrentActivityTaskExecutions: 200,
  };
  const workers = await Promise.all(
    systems.flatMap(({ name: system }) => [
      Worker.create({
        ...common,
        taskQueue: controlQueue(system),
        workflowBundle: workflowBundle(),
        activities: made(onControl),
      }),
      Worker.create({
        ...common,
        taskQueue: hostQueue(system, 'db1'),
        activities: made(Object.keys(going).filter((name) => !onControl.includes(name))),
      }),
    ]),
  );
  const running = workers.map((worker) => worker.run());
  let count = 0;
  /** What is recovered waits under its name. */
  const ownSecond = (system: { turn: Promise<void> }): Promise<void> =>
    (system.turn = system.turn.then(() => new Promise((resolve) => setTimeout(resolve, 1010))));

  const over: IncidentState['phase'][] = ['recovered', 'closed', 'refused', 'aborted', 'rolled back'];
  return {
    async stage({ mode, script = {}, plan = {}, input = {} }) {
      count += 1;
      const of = systems[count % systems.length]!;
      const { name: system } = of;
      const workflowId = `${system}/${count}`;
      if (mode === 'real') await ownSecond(of);
      const handle = client.workflow.getHandle(workflowId);
      const state = () => handle.query<IncidentState>('state');
      let answered = 0;
      const one: Staged & { plan: PlanFacts } = {
        ...{ handle, calls: [], script: { ...script }, plan: factsOf(plan), state },
        question: (step) =>
          until(
            `a question is asked${step ? ` about ${step}` : ''}`,
            async () => {
              const now = await state();
              if (now.question && now.question.id > answered && (step === undefined || now.question.step === step))
                return now.question;
              if (over.includes(now.phase)) throw new GaveUp(`it is ${now.phase}: ${now.ending ?? ''}`);
              return undefined;
            },
            60,
            250,
          ),
        async answer({ by = 'asha', ...decision }) {
          const { id } = await one.question();
          const taken = await handle.executeUpdate<string, [Decision]>('decide', {
            args: [{ by, question: id, ...decision }],
          });
          answered = id;
          return taken;
        },
        ends: () =>
          until('it is over', async () => state().then((now) => (over.includes(now.phase) ? now : undefined)), 60, 250),
      };
      staged.set(workflowId, one);
      await client.workflow.start('databaseCorruption', {
        workflowId,
        taskQueue: controlQueue(system),
        args: [
          {
            ...names,
            system,
            scenario: 'database-corruption',
            mode,
            planDigest: 'as-declared',
            ...input,
          } satisfies IncidentInput,
        ],
      });
      return one;
    },
    async stepsOf({ handle }) {
      const first = new Map<string, NthCall>();
      const calls = new Map<string, number>();
      for (const { activityTaskScheduledEventAttributes: scheduled, userMetadata } of (await handle.fetchHistory())
        .events ?? []) {
        const summary = userMetadata?.summary?.data;
        if (!scheduled || !summary) continue;
        const step = (JSON.parse(Buffer.from(summary).toString('utf8')) as string).replace(/ · .*$/, '');
        const activity = scheduled.activityType!.name!;
        calls.set(activity, (calls.get(activity) ?? 0) + 1);
        if (!first.has(step)) first.set(step, { activity, nth: calls.get(activity)! });
      }
      return first;
    },
    async stop() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await Promise.all([connection.close(), native.close()]);
    },
  };
}
