import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { defaultVerify } from '../../lab/plan-file.js';
import { tail } from '../../lab/child.js';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import { declare, endLab, lifeboatOf, protect, story } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { expectRecovered } from './recovered.js';
import { supervise } from './supervisor.js';
import { untilRecovered } from './walk.js';

/**
 * One step that lasts as long as the test wants, and what happens to the agent that works on it: SIGTERM, SIGKILL,
 * SIGSTOP.
 */

let lab: Lab | undefined;
afterAll(() => endLab(lab));

interface Pending {
  attempt: number;
  started: boolean;
  startedAt: number;
  /** The kind of failure with which the attempt before it ended. */
  after: string | undefined;
}

test('an agent that is told to end, is killed, or hangs in the middle of a step', { timeout: 1_800_000 }, async () => {
  lab = await createLab({
    fast: true,
    // The assessment of the damage runs the queries of the plan, and this one sleeps for as long as a table says.
    verify: {
      ...defaultVerify,
      queries: [
        ...defaultVerify.queries!,
        { sql: 'select count(*) from (select pg_sleep((select seconds from slow))) asleep', expect: 1 },
      ],
    },
  });
  const { primary } = lab;
  const sleep = (seconds: number) => primary.sql('UPDATE slow SET seconds = $1', [seconds]);
  await primary.sql('CREATE TABLE slow AS SELECT 0 AS seconds');
  await protect(lab);
  const before = await disaster(lab, 'repair');
  await sleep(500);
  await lab.agents['db1']!.kill9();
  const agent = await supervise(lab, 'agent-db1', ['agent', '--host', 'db1']);
  await declare(lab);

  /** The assessment as Temporal sees it. */
  const pending = async (): Promise<Pending | undefined> => {
    const { raw } = await (
      await lifeboatOf(lab!)
    ).temporal.workflow
      .getHandle(incidentWorkflowId(lab!.system))
      .describe();
    const found = (raw.pendingActivities ?? []).find(({ activityType }) => activityType?.name === 'assess');
    // 2: PENDING_ACTIVITY_STATE_STARTED
    return (
      found && {
        attempt: found.attempt ?? 0,
        started: Number(found.state) === 2,
        startedAt: milliseconds(found.lastStartedTime),
        after: found.lastFailure?.applicationFailureInfo?.type ?? undefined,
      }
    );
  };
  const sleepers = async (): Promise<{ pid: number; since: Date }[]> =>
    primary.sql(
      `SELECT pid, query_start AS since FROM pg_stat_activity WHERE query LIKE '%pg_sleep((select%' AND state = 'active' AND pid <> pg_backend_pid()`,
    );
  /** Waits until an attempt later than this one is in the middle of its query. */
  const asleep = async (after: number): Promise<Pending> =>
    until(
      `attempt ${after + 1} of the assessment sleeps`,
      async () => {
        const now = await pending();
        const since =
          now && now.attempt > after && now.started
            ? (await sleepers()).filter(({ since: at }) => at.getTime() >= now.startedAt - 50)
            : [];
        return since.length > 0 ? now : undefined;
      },
      240,
    ).catch(async (error: unknown) => {
      throw new Error(`${(error as Error).message}\n${await story(lab!)}`);
    });
  const died = (pid: number) => until(`the end of the agent`, () => agent.child().pid !== pid, 60, 5);

  // SIGTERM: it ends within its grace, and so does what it was doing; the next one takes the step up.
  const first = await asleep(0);
  const told = Date.now();
  const pid = agent.child().pid;
  process.kill(pid, 'SIGTERM');
  await died(pid);
  const ended = Date.now() - told;
  expect(tail(agent.log, 40)).toContain('shut down');
  const second = await asleep(first.attempt);
  expect((await sleepers()).length, 'sessions that sleep').toBe(1);

  // SIGKILL: the step goes on as soon as the agent is back, which says so itself; nobody waits for a heartbeat.
  await agent.kill9();
  const killed = Date.now();
  const third = await asleep(second.attempt);
  const resumed = third.startedAt - killed;
  expect(third.after, 'how the attempt before it ended').toBe('WorkerRestarted');
  // PostgreSQL notices within seconds that the killed agent is gone; the one that comes back cannot know its session.
  await until('the end of the session of the killed agent', async () => (await sleepers()).length === 1);

  // SIGSTOP: Temporal gives the attempt up and starts the next one, in the same process. The old one must be over
  // before that works.
  const hanging = agent.child().pid;
  const [old] = await sleepers();
  process.kill(hanging, 'SIGSTOP');
  await until(
    'Temporal has started the next attempt',
    async () => {
      const now = await pending();
      return now && now.attempt > third.attempt && now.started;
    },
    240,
    100,
  );
  process.kill(hanging, 'SIGCONT');
  const overlap = await until(
    'the next attempt works',
    async () => {
      const sessions = await primary.sql<{ pid: number; application: string; since: Date }>(
        `SELECT pid, application_name AS application, query_start AS since FROM pg_stat_activity
         WHERE application_name = 'lifeboat' AND state = 'active' AND pid <> pg_backend_pid()`,
      );
      const oldOne = sessions.some(({ pid: one }) => one === old!.pid);
      const newOne = sessions.filter(({ application, pid: one }) => one !== old!.pid && application === 'lifeboat');
      if (oldOne && newOne.length > 0) return { both: sessions };
      return !oldOne && newOne.some(({ application }) => application === 'lifeboat') ? { both: [] } : undefined;
    },
    240,
    10,
  );
  expect(overlap.both, 'two attempts at work at once').toEqual([]);
  expect(agent.child().pid, 'the agent that hung works on').toBe(hanging);

  await sleep(0);
  const sleeping = await sleepers();
  // The query of the attempt that is at work now still sleeps for as long as it was told.
  const at = await pending();
  await agent.kill9();
  for (const one of sleeping) await primary.sql('SELECT pg_terminate_backend($1)', [one.pid]);
  await untilRecovered(lab, { toString: () => `the assessment was at attempt ${at?.attempt ?? '?'}` });
  await expectRecovered(lab, before);
  console.log(`agent: ended ${ended} ms after SIGTERM; the step went on ${resumed} ms after SIGKILL`);
  await agent.stop();
});

const milliseconds = (time: { seconds?: unknown; nanos?: number | null } | null | undefined): number =>
  Number(time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;
