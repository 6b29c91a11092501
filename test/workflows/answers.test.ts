import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../lab/wait.js';
import { workflowBundle } from '../../worker/run-worker.js';
import { type Scripted, scripted } from '../helpers/scripted.js';
import { ownTemporal } from '../helpers/temporal.js';

/**
 * What people say to an incident at the same time, or of what they have not seen: real workflows, hosts as the test
 * says.
 */
describe('answers to an incident', { timeout: 900_000 }, () => {
  const server = ownTemporal();
  let incident: Scripted;
  beforeEach(async () => {
    incident = await scripted(server);
    await incident.lifeboat.declare('database-corruption', { database: 'main', declaredBy: 'ben', mode: 'real' });
  });
  // Deterministic: whatever people said, its history replays.
  afterEach(async () => {
    const { workflowId, runId } = await incident.lifeboat.incident().locate();
    await Worker.runReplayHistory(
      { workflowBundle: workflowBundle() },
      await incident.lifeboat.temporal.workflow.getHandle(workflowId, runId).fetchHistory(),
    );
    await incident.stop();
  });

  const approval = () =>
    incident.untilState('the approval is asked for', ({ question }) => question?.kind === 'approval');
  /**
   * Both are said while no control worker runs, and are taken up by it in one task. Which one came first, only it can
   * say.
   */
  const bothWhileAway = async (...both: [update: string, said: { by: string }][]) => {
    const { temporal } = incident.lifeboat;
    const { workflowId } = await incident.lifeboat.incident().locate();
    await incident.stopControl();
    const answers = both.map(([update, said]) =>
      // Patient: the worker may take its time to come back.
      temporal
        .withDeadline(Date.now() + 90_000, () =>
          temporal.workflow.getHandle(workflowId).executeUpdate<string, [object]>(update, { args: [said] }),
        )
        .then(
          (taken) => ({ by: said.by, taken }),
          (error: unknown) => ({
            by: said.by,
            refused: (error as Error & { cause?: Error }).cause?.message ?? (error as Error).message,
          }),
        ),
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    await incident.startControl();
    const said = await Promise.all(answers);
    return {
      taken: said.flatMap((one) => ('taken' in one ? [one] : [])),
      refused: said.flatMap((one) => ('refused' in one ? [one] : [])),
    };
  };

  test('two people answer one question while the control worker is away: the first counts, the second is refused', async () => {
    const question = (await approval()).question!.id;
    const to = '2026-11-21T03:15:00Z';
    const { taken, refused } = await bothWhileAway(
      ['decide', { by: 'asha', choice: 'restore', target: to, question } as { by: string }],
      ['decide', { by: 'dee', choice: 'approve', question } as { by: string }],
    );
    expect(taken.map((one) => one.taken)).toEqual([
      expect.stringMatching(/^(restore: taken from asha|approve: taken from dee)$/),
    ]);
    expect(refused.map((one) => one.refused)).toEqual([
      expect.stringMatching(/Question \d+ is not open: it may have been answered\. Nothing is being asked now/),
    ]);
    const restored = taken[0]!.by === 'asha';
    const state = await incident.untilState('it went on with the one that was taken', (now) =>
      restored ? (now.question?.id ?? 0) > question : now.phase === 'recovered',
    );
    expect(state.target).toBe(restored ? to : 'latest');
    expect(state.steps.find(({ name }) => name === 'Approve')!.decision!.by).toBe(taken[0]!.by);
    expect(incident.began.includes('putInPlace'), 'what was rejected is not put in place').toBe(!restored);
  });

  test('an answer that comes after an abort is not said to be taken', async () => {
    const question = (await approval()).question!.id;
    const { taken, refused } = await bothWhileAway(
      ['abort', { by: 'asha', reason: 'the wrong database', resume: false } as { by: string }],
      ['decide', { by: 'dee', choice: 'approve', question } as { by: string }],
    );
    expect(taken.map(({ by }) => by)).toContain('asha');
    for (const one of refused) expect(one.refused).toMatch(/is being ended already, by asha/);
    await incident.untilState('it is aborted', ({ phase }) => phase === 'aborted');
  });

  test('of two aborts the first counts, also in how it leaves the service', async () => {
    await approval();
    const abort = (by: string, resume: boolean): [string, { by: string }] => [
      'abort',
      { by, reason: 'x', resume } as { by: string },
    ];
    const { taken, refused } = await bothWhileAway(abort('asha', false), abort('dee', true));
    expect(taken).toHaveLength(1);
    const { by } = taken[0]!;
    expect(refused.map((one) => one.refused)).toEqual([expect.stringContaining(`is being ended already, by ${by}`)]);
    const { notes } = await incident.untilState('it is aborted', ({ phase }) => phase === 'aborted');
    expect(notes.map((note) => note.by)).toEqual([by]);
    expect(incident.began.includes('openDatabase')).toBe(by === 'dee');
  });

  test('an answer without the number of its question is not taken, by whatever client', async () => {
    await approval();
    await expect(incident.lifeboat.incident().approve({ by: 'dee' })).rejects.toMatchObject({
      cause: {
        message: expect.stringMatching(
          /Say which question you answer, when you have read it: --question 1\. It is: Put the restored/,
        ),
      },
    });
    expect((await incident.lifeboat.incident().state()).question).toBeDefined();
  });

  test('without a terminal, a bare approve shows the figures, ends with 2, and says what to type; typed, it is taken', async () => {
    await approval();
    const bare = await incident.cli(['approve', '--as', 'Dee Dee']);
    expect(bare, bare.stdout + bare.stderr).toMatchObject({ code: 2 });
    expect(bare.stderr).toMatch(
      /Question 1 is open:[^]*RPO reached 2s, objective 5m[^]*the damaged copy is kept, on db1/,
    );
    expect(bare.stderr).toMatch(/→ When you have read it: lifeboat approve --as 'Dee Dee' --question 1\n/);
    const decide = await incident.cli(['decide', 'restore', '--to', 'latest', '--json']);
    expect(decide).toMatchObject({ code: 2 });
    expect(JSON.parse(decide.stdout)).toMatchObject({
      code: 2,
      hint: expect.stringContaining('decide restore --to latest --json --question 1'),
    });
    expect((await incident.lifeboat.incident().state()).question, 'nothing was answered').toMatchObject({ id: 1 });
    expect(await incident.cli(['approve', '--as', 'Dee Dee', '--question', '1'])).toMatchObject({ code: 0 });
  });

  test('in a terminal, a bare approve asks for a yes: anything else answers nothing', async () => {
    await approval();
    const no = await incident.terminal(['approve', '--as', 'dee'], 'n');
    expect(no.code, no.said).toBe(4);
    expect(no.said).toMatch(/RPO reached[^]*approve, as dee, with these figures\? \[y\/N\][^]*Nothing was answered/);
    expect((await incident.lifeboat.incident().state()).question).toMatchObject({ id: 1 });
    const yes = await incident.terminal(['approve', '--as', 'dee'], 'y');
    expect(yes.code, yes.said).toBe(0);
    await incident.untilState('it is recovered', ({ phase }) => phase === 'recovered');
  });

  test('the hint of a failed step carries the number of its question, and so does every printed command', async () => {
    incident.script['putInPlace'] = () => {
      throw ApplicationFailure.create({
        message: 'no',
        type: 'Busy',
        nonRetryable: true,
        details: [{ hint: 'Wait; then: lifeboat decide retry' }],
      });
    };
    const question = (await approval()).question!.id;
    await incident.lifeboat.incident().approve({ by: 'dee', question });
    const { stdout } = await incident.cli(['watch']);
    expect(stdout).toMatch(/then: lifeboat decide retry --question 2/);
    expect(stdout).toMatch(/^ +lifeboat decide retry --question 2 /m);
    expect(stdout).toMatch(/^ +lifeboat abort --reason "…" /m);
  });

  test('a database that dies while it is watched is said, and a retry starts it before it is watched again', async () => {
    let up = true;
    let opened = 0;
    incident.script['watchDatabase'] = () => {
      if (up) return { summary: 'takes writes' };
      throw ApplicationFailure.create({
        message: 'main does not take writes on db1 any more',
        type: 'ServerFailed',
        nonRetryable: true,
      });
    };
    incident.script['openDatabase'] = () => {
      opened += 1;
      if (opened > 1) up = true;
      return { summary: 'open', warnings: [] };
    };
    // Its service says only that it is ill.
    incident.script['watchServices'] = () => {
      if (up) return { summary: 'healthy' };
      throw ApplicationFailure.create({ message: 'web answers 503', type: 'ServiceFailed', nonRetryable: true });
    };
    const question = (await approval()).question!.id;
    up = false;
    await incident.lifeboat.incident().approve({ by: 'dee', question });
    const state = await incident.untilState('it is asked', (now) => now.question?.step === 'Watch');
    expect(state.question!.problem).toMatchObject({
      type: 'ServerFailed',
      message: 'main does not take writes on db1 any more',
    });
    await incident.lifeboat.incident().decide({ by: 'dee', choice: 'retry', question: state.question!.id });
    const recovered = await incident.untilState('it is recovered', ({ phase }) => phase === 'recovered');
    expect(recovered.steps.find(({ name }) => name === 'Watch')).toMatchObject({
      status: 'done',
      attempts: 2,
      summary: expect.stringContaining('open'),
    });
    expect(opened).toBe(2);
  });

  test('an agent that is away after the approval: watch says for whom it waits and since when, and within the time limit it is asked', async () => {
    const question = (await approval()).question!.id;
    await incident.stopAgent();
    await incident.lifeboat.incident().approve({ by: 'dee', question });
    const seen = await until(
      'watch says it',
      async () => {
        const { stdout } = await incident.cli(['watch', '--once']);
        return /the agent of db1 has not taken up putInPlace for \d+ s/.exec(stdout)?.[0];
      },
      25,
    );
    expect(seen).toBeDefined();
    const asked = await until(
      'it is asked',
      async () => {
        const state = await incident.lifeboat.incident().state();
        return state.question?.step === 'Put it in place' ? state : undefined;
      },
      60,
      200,
    );
    expect(asked.question!.problem).toMatchObject({
      type: 'AgentOffline',
      hint: expect.stringContaining('lifeboat agent --host db1'),
    });
  });

  test('an agent that cannot do what is asked of it is asked about at once, and not after a hundred attempts', async () => {
    incident.script['putInPlace'] = () => {
      throw ApplicationFailure.create({
        type: 'NotFoundError',
        message: 'Activity function putInPlace is not registered on this Worker',
      });
    };
    const question = (await approval()).question!.id;
    await incident.lifeboat.incident().approve({ by: 'dee', question });
    const asked = await incident.untilState('it is asked', (now) => now.question?.step === 'Put it in place');
    expect(asked.question!.problem).toMatchObject({
      message: 'the worker of db1 runs an older Lifeboat, which cannot do this',
    });
  });

  test('an attempt that fails and is made again is shown with why, while it goes on', async () => {
    let fail = true;
    incident.script['putInPlace'] = () => {
      if (fail) throw new Error('the disk is away');
      return {
        summary: 'in place',
        host: 'db1',
        quarantine: '/data.quarantine',
        bytes: 1000,
        canGoBack: true,
        warnings: [],
      };
    };
    const question = (await approval()).question!.id;
    await incident.lifeboat.incident().approve({ by: 'dee', question });
    await until(
      'watch says it',
      async () => {
        const { stdout } = await incident.cli(['watch', '--once', '--json']);
        return /putInPlace is tried again in \d+ s; attempt \d+ failed: the disk is away/.test(stdout);
      },
      40,
    );
    fail = false;
    await incident.untilState('it is recovered', ({ phase }) => phase === 'recovered');
  });

  test('however often it is asked, the moment at which a step ended is never another one', async () => {
    for (const name of ['stopWrites', 'saveEvidence', 'assess', 'listCandidates', 'restoreBeside', 'verifyRestored']) {
      const result = await Promise.resolve(incident.defaults[name]!({} as never));
      incident.script[name] = async () => {
        await new Promise((resolve) => setTimeout(resolve, 700));
        return result;
      };
    }
    const seen = new Map<string, Set<string>>();
    let over = false;
    const look = async () => {
      while (!over) {
        // One that is not answered in time is no answer.
        const state = await incident.lifeboat
          .incident()
          .state()
          .catch(() => undefined);
        if (!state) continue;
        for (const { name, endedAt } of state.steps) {
          if (endedAt === undefined) continue;
          seen.set(name, (seen.get(name) ?? new Set()).add(endedAt));
        }
        over ||= state.question !== undefined;
      }
    };
    await Promise.all(Array.from({ length: 3 }, look));
    const final = await approval();
    for (const { name, endedAt } of final.steps)
      if (endedAt) expect([...(seen.get(name) ?? [])], name).toEqual([endedAt]);
    expect(seen.size).toBeGreaterThan(4);
  });
});
