import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpSink, startHttpSink } from '../../lab/servers/http-sink.js';
import { until } from '../../lab/wait.js';
import { controlQueue } from '../../vocabulary/names.js';
import { workflowBundle } from '../../worker/run-worker.js';
import type { IncidentInput } from '../../vocabulary/declaration.js';
import { type Scripted, scripted } from '../helpers/scripted.js';
import { ownTemporal } from '../helpers/temporal.js';

/**
 * A control worker that dies while an activity ends, with people who ask and say things in that very moment: the one
 * that comes after it has to take up what is in the history, the question and what was said, in an order that every
 * replay repeats. The SDK has open faults there (temporalio/sdk-rust#1146, #1597; sdk-python#1591): an empty workflow
 * task followed by an update.
 */

const incidents = 10;
/** In the first, two activities run side by side, and nothing follows on the first that ends. */
const moments = ['stopWrites', 'assess', 'restoreBeside', 'putInPlace', 'takeBackup'] as const;

const server = ownTemporal();
let health: HttpSink;
let world: Scripted;
beforeAll(async () => {
  health = await startHttpSink();
  world = await scripted({
    directory: server.directory,
    temporal: server.temporal,
    service: health.url,
    realControl: true,
  });
});
afterAll(async () => {
  await world.stop();
  await health.stop();
});

test(
  'a control worker that is killed fifty times as an activity ends and somebody asks and answers: every history replays',
  { timeout: 900_000 },
  async () => {
    const { workflow } = world.lifeboat.temporal;
    const gate = holdAt(moments[0]);
    // More incidents of one system than its lock allows: each of them is a moment of its own.
    const handles = await Promise.all(
      Array.from({ length: incidents }, (_, n) =>
        workflow.start('databaseCorruption', {
          workflowId: `${world.system}/${n}`,
          taskQueue: controlQueue(world.system),
          args: [
            {
              ...{
                system: world.system,
                scenario: 'database-corruption',
                database: 'main',
                declaredBy: 'ben',
                mode: 'real',
              },
              planDigest: world.lifeboat.plan.digest,
            } satisfies IncidentInput,
          ],
        }),
      ),
    );
    const said: Promise<unknown>[] = [];
    for (const [at, moment] of moments.entries()) {
      if (moment === 'putInPlace') await Promise.all(handles.map(approve));
      await until(`each incident is in ${moment}`, () => gate.held() === incidents);
      await world.killControl();
      gate.release(moments[at + 1]);
      await until(`${moment} has ended everywhere`, async () =>
        (await Promise.all(handles.map(nothingRuns))).every(Boolean),
      );
      // Half of them while nobody is there, half as the next one comes.
      said.push(...handles.filter((_, n) => n % 2 === 0).flatMap((handle, n) => talk(handle, n)));
      const starting = world.startControl();
      said.push(...handles.filter((_, n) => n % 2 === 1).flatMap((handle, n) => talk(handle, n)));
      await starting;
    }
    await Promise.all(
      handles.map((handle) =>
        until('it is recovered', async () => (await handle.describe()).status.name !== 'RUNNING'),
      ),
    );
    await Promise.all(said);
    for (const handle of handles) await expectReplays(handle);
  },
);

/** Holds every incident in one activity, until it is released to the next one. */
function holdAt(first: string) {
  let at: string | undefined;
  let held = 0;
  let go = Promise.withResolvers<void>();
  const hold = (name: string | undefined): void => {
    if (at) delete world.script[at];
    [at, held, go] = [name, 0, Promise.withResolvers<void>()];
    if (!name) return;
    const { promise } = go;
    world.script[name] = async (input) => {
      held += 1;
      await promise;
      return world.defaults[name]!(input);
    };
  };
  hold(first);
  return {
    held: () => held,
    release(next: string | undefined) {
      go.resolve();
      hold(next);
    },
  };
}

/**
 * A look and a note, in one order or the other. A note that Temporal does not take while nobody is there is said again.
 */
function talk(handle: WorkflowHandle, n: number): Promise<unknown>[] {
  const note = () =>
    until(
      'the note is taken',
      () => handle.executeUpdate('note', { args: [{ by: 'ben', text: 'how far is it?' }] }),
      300,
    );
  // Nobody may be there to answer yet, or the incident may be over: what counts is what it does to the history.
  const look = () => handle.query('state').catch(() => undefined);
  if (n % 3 === 0) return [look(), note()];
  if (n % 3 === 1) return [note(), look()];
  return [look().then(note)];
}

async function approve(handle: WorkflowHandle): Promise<void> {
  const question = await until(
    'the approval is asked for',
    async () => (await handle.query<{ question?: { id: number } }>('state')).question,
  );
  await handle.executeUpdate('decide', { args: [{ by: 'asha', choice: 'approve', question: question.id }] });
}

const nothingRuns = async (handle: WorkflowHandle): Promise<boolean> =>
  ((await handle.describe()).raw.pendingActivities ?? []).length === 0;

async function expectReplays(handle: WorkflowHandle): Promise<void> {
  const history = await handle.fetchHistory();
  const events = history.events ?? [];
  const failed = events.flatMap(({ eventId, workflowTaskFailedEventAttributes: task }) =>
    task ? [`${String(eventId)}: ${task.failure?.message ?? ''}`] : [],
  );
  expect(failed, `workflow tasks of ${handle.workflowId} that failed`).toEqual([]);
  const empty = events.filter(
    (event, n) =>
      event.workflowTaskCompletedEventAttributes &&
      (n === events.length - 1 || Boolean(events[n + 1]!.workflowTaskScheduledEventAttributes)),
  );
  expect(
    empty.map(({ eventId }) => String(eventId)),
    `workflow tasks of ${handle.workflowId} without a command`,
  ).toEqual([]);
  await Worker.runReplayHistory({ workflowBundle: workflowBundle() }, history);
}
