import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPidFile } from '../../lab/cluster.js';
import { overwritePages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { canaryBeats, expectReports } from '../helpers/end-state.js';
import {
  declare,
  ended,
  endLab,
  protect,
  ran,
  step,
  untilPhase,
  untilQuestion,
  untilState,
} from '../helpers/incident.js';

/**
 * One incident in which, after the approval, the state directory goes, PostgreSQL dies, and the recovery is rolled
 * back.
 */
describe('after the approval', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ fast: true, plan: (plan) => void (plan.services!['web']!.watch = '5s') });
    await protect(lab);
    await overwritePages(lab.primary, 'payments');
    await declare(lab);
    await untilQuestion(lab, 'approval', 'Approve');
  }, 900_000);
  afterAll(() => endLab(lab));

  test('the state directory of the agent was deleted: it is made anew, and the incident goes on', async () => {
    const state = join(lab.directory, 'state', lab.system, 'db1');
    rmSync(state, { recursive: true });
    await ran(lab, ['approve', '--as', 'asha']);
    await untilState(lab, 'the service is resumed and watched', ({ steps }) => steps.at(-1)!.name === 'Watch', {
      unless: ({ question }) => question !== undefined,
    });
    expect(existsSync(state)).toBe(true);
  });

  test('PostgreSQL dies while it is watched: said and asked, and a retry starts it', async () => {
    process.kill(readPidFile(lab.primary.dataDirectory)!.pid, 'SIGKILL');
    const { question } = await untilQuestion(lab, 'decision', 'Watch');
    expect(question.problem).toMatchObject({
      type: 'ServerFailed',
      message: expect.stringMatching(/^main does not take writes on db1 any more/),
    });
    await ran(lab, ['decide', 'retry', '--as', 'asha']);
    const state = await untilPhase(lab, 'recovered');
    expect(step(state, 'Watch')).toMatchObject({ status: 'done', attempts: 2 });
    expect(step(state, 'Watch').summary).toMatch(/open, and takes writes.*main takes writes, looked at \d+ times/);
  });

  test('it is rolled back after orders were placed on the restored copy: the record says how many stay behind, and where', async () => {
    const placed = await burst(lab.primary, 77);
    await canaryBeats(lab.primary);
    await ran(lab, ['decide', 'roll-back', '--reason', 'the old one had rows that we need', '--as', 'asha']);
    const state = await untilPhase(lab, 'rolled back');
    await ended(lab);
    const [written, ...rows] = state.lost;
    const [, count] =
      /^up to (\d+) transactions that were committed to the restored copy between /.exec(written!) ?? [];
    expect(Number(count), written).toBeGreaterThanOrEqual(placed.length);
    expect(Number(count), 'and not many more').toBeLessThan(placed.length + 60);
    expect(written).toContain(`it stays behind in ${state.quarantine[0]!.path} on db1`);
    const orders =
      /^orders: (\d+) rows in the copy that was put aside, (\d+) rows in the one that is in place again$/.exec(
        rows.find((row) => row.startsWith('orders'))!,
      )!;
    expect(Number(orders[1]) - Number(orders[2])).toBe(placed.length);
    const { md, json, html } = await expectReports(lab, state);
    expect(json).toMatchObject({ rto: { seconds: null, met: null }, rpo: { seconds: null, met: null } });
    for (const report of [md, html]) {
      expect(report).toContain(`up to ${count} transactions`);
      expect(report).toContain('not measured: the recovery was rolled back');
      expect(report).not.toMatch(/: met\)/);
    }
  });
});
