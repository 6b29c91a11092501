import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type CliResult, type Lab } from '../../lab/lab.js';
import { serviceIsHealthy } from '../helpers/end-state.js';
import {
  ended,
  endLab,
  lifeboatOf,
  protect,
  ran,
  step,
  stateOf,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';
import { changesNothing } from '../helpers/unchanged.js';

/**
 * Who should answer does not: every command says so in time, in words, with its exit code; and goes on when they are
 * back.
 */
describe('offline', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ fast: true });
    await protect(lab);
  }, 900_000);
  afterAll(() => endLab(lab));

  /**
   * Runs all of them, three at a time so that none waits for another one's processor, and says how many seconds each
   * took.
   */
  const together = async (lines: string[][]) => {
    const results: (CliResult & { args: string; seconds: number })[] = [];
    for (let at = 0; at < lines.length; at += 3) {
      const work = lines.slice(at, at + 3).map(async (args) => {
        const began = Date.now();
        const result = await lab.cli([...args, '--as', 'ben']);
        return { ...result, args: args.join(' '), seconds: (Date.now() - began) / 1000 };
      });
      results.push(...(await Promise.all(work)));
    }
    return results;
  };

  test('the control worker, and nothing is open: each command ends with 6 in less than 15 s, and leaves nothing that would begin by itself', async () => {
    await lab.control!.kill9();
    try {
      await expectNobody();
    } finally {
      await lab.startControl();
    }
  });

  async function expectNobody(): Promise<void> {
    await changesNothing(lab, async () => {
      const results = await together([
        ['start', 'database-corruption'],
        ['drill', 'start', 'database-corruption'],
        ['backup', 'create'],
        ['backup', 'list'],
        ['backup', 'verify', '--json'],
        ['doctor'],
      ]);
      for (const { args, code, stdout, stderr, seconds } of results) {
        const what = `lifeboat ${args} after ${seconds} s: ${stdout}${stderr}`;
        expect(code, what).toBe(6);
        expect(seconds, what).toBeLessThan(60);
        expect(stdout + stderr, what).toMatch(
          /No control worker answers: nothing was begun[^]*lifeboat worker|no control worker took up the question/,
        );
        expect(stdout + stderr, what).not.toMatch(/^\s+at .+:\d+:\d+/m);
        if (args.includes('--json')) expect(JSON.parse(stdout), what).toMatchObject({ code: 6 });
      }
    });
    const { temporal } = await lifeboatOf(lab);
    const running: string[] = [];
    for await (const { workflowId } of temporal.workflow.list({ query: `ExecutionStatus = 'Running'` }))
      running.push(workflowId);
    expect(running, 'workflows that would begin when the worker is back').toEqual([]);
    expect((await lab.cli(['incidents'])).stdout, 'nothing was declared').toMatch(/No incident and no drill yet/);
  }

  test('the agent: the step says so within its time limit of 30 s and asks, exit code 4; the agent comes back, and retry goes on', async () => {
    await lab.agents['db1']!.kill9();
    await changesNothing(lab, async () => {
      const began = Date.now();
      const result = await lab.cli(['start', 'database-corruption', '--as', 'ben']);
      expect((Date.now() - began) / 1000).toBeLessThan(120);
      expect(result, result.stdout + result.stderr).toMatchObject({ code: 4 });
      expect(result.stdout).toMatch(
        /the agent of db1 did not take the work within its time: it is offline[^]*lifeboat agent --host db1/,
      );
      const { question } = await untilQuestion(lab, 'decision', 'Check the request');
      expect(question.problem).toMatchObject({ type: 'AgentOffline' });
    });
  });

  const open = [
    ['watch'],
    ['watch', '--once', '--json'],
    // Said of another question, or without a reason: Temporal may hand it to the worker that comes back, and nothing
    // may come of it here.
    ['approve', '--question', '99'],
    ['decide', 'retry', '--question', '99'],
    ['note', 'hello'],
    ['abort'],
    ['close'],
    ['report'],
    ['start', 'database-corruption'],
  ];
  test('the control worker, and an incident is open: each command says so, and the question is still there afterwards', async () => {
    const { question } = await stateOf(lab);
    await lab.control!.kill9();
    const results = await together(open).finally(() => lab.startControl());
    for (const { args, code, stdout, stderr, seconds } of results) {
      const what = `lifeboat ${args} after ${seconds} s: ${stdout}${stderr}`;
      expect(code, what).toBe(6);
      expect(seconds, what).toBeLessThan(60);
      expect(stdout + stderr, what).toMatch(/The incident does not answer: no control worker took up the question/);
      if (/^(approve|decide|abort|note)/.test(args) && !stdout)
        expect(stderr, what).toContain('What you said may be taken yet');
      if (args.includes('--json')) expect(JSON.parse(stdout), what).toMatchObject({ code: 6 });
    }
    expect((await lab.cli(['incidents'])).stdout).toMatch(/▶ shop-\S+ +database-corruption +waiting/);
    expect((await stateOf(lab)).question, 'nothing that was said meanwhile was taken').toMatchObject({
      id: question!.id,
      step: 'Check the request',
    });
  });

  test('then the agent is started, and decide retry goes on where it was', async () => {
    await lab.startAgents(['db1']);
    await ran(lab, ['decide', 'retry', '--as', 'asha']);
    const asked = await untilQuestion(lab, 'approval', 'Choose the target');
    expect(step(asked, 'Check the request')).toMatchObject({
      status: 'done',
      attempts: 2,
      decision: { by: 'asha', choice: 'retry' },
    });
    await ran(lab, ['decide', 'keep', '--as', 'asha', '--reason', 'the database is sound']);
    await untilPhase(lab, 'recovered');
    await ran(lab, ['close', '--as', 'ben', '--leave-tasks-open', 'a test']);
    await ended(lab);
    expect(await serviceIsHealthy(lab)).toBe(true);
  });
});
