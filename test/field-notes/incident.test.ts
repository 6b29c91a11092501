import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { overwritePages } from '../../lab/damage.js';
import { loadPlan } from '../../plan/load.js';
import type { PlanFile } from '../../plan/schema.js';
import { canaryBeats, orderIds, timelineOf } from '../helpers/end-state.js';
import { expectNoSecrets } from '../helpers/histories.js';
import {
  declare,
  endLab,
  lifeboatOf,
  protect,
  ran,
  stateOf,
  step,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';

/** One incident in which the runbook changes, the orchestrator dies, and a child step fails. */
describe('in the middle of an incident', { timeout: 900_000 }, () => {
  let lab: Lab;
  let digest: string;
  beforeAll(async () => {
    lab = await createLab({ fast: true });
    await protect(lab);
    digest = (await loadPlan(lab.planPath)).digest;
    await overwritePages(lab.primary, 'orders');
    await declare(lab);
    await untilQuestion(lab, 'approval', 'Approve');
  }, 900_000);
  afterAll(() => endLab(lab));

  test('field note 14: the control worker and the agent are killed: nothing is lost, and it does not show as running for ever', async () => {
    const before = await stateOf(lab);
    await Promise.all([lab.control!.kill9(), lab.agents['db1']!.kill9()]);
    expect((await lab.cli(['watch', '--once'])).code, 'it does not answer: no state is made up').toBe(6);
    await Promise.all([lab.startControl(), lab.startAgents(['db1'])]);
    expect(await stateOf(lab)).toEqual(before);
  });

  test('field note 19: the plan was changed: it goes on with the new one and says so; who must approve stays as declared', async () => {
    const plan = parse(readFileSync(lab.planPath, 'utf8')) as PlanFile;
    plan.services!['web']!.watch = '1s';
    plan.objectives = { rto: '20m', rpo: '5m' };
    plan.approvals = { people: 2 };
    writeFileSync(lab.planPath, stringify(plan));
    const changed = (await loadPlan(lab.planPath)).digest;
    expect(changed).not.toBe(digest);
    await Promise.all([lab.control!.restart(), ...Object.values(lab.agents).map((agent) => agent.restart())]);
    // Re-protecting will fail: the only location is gone.
    renameSync(lab.locations['onsite']!, `${lab.locations['onsite']}.away`);
    writeFileSync(lab.locations['onsite']!, 'a file, where a directory should be');
    await ran(lab, ['approve', '--as', 'ben']);
    const state = await untilQuestion(lab, 'decision', 'Re-protect');
    expect(state.warnings).toContain(
      `the plan was changed in the middle of this incident: it was ${digest}, and goes on with ${changed}`,
    );
    expect(state).toMatchObject({ planDigest: changed, objectives: { rtoSeconds: 1200 }, approvals: 1 });
    expect(step(state, 'Put it in place').status).toBe('done');
  });

  test('field note 15: a child step fails: it does not show as recovered', async () => {
    const state = await stateOf(lab);
    expect(state.phase).toBe('waiting');
    expect(step(state, 'Re-protect')).toMatchObject({ status: 'failed' });
    expect(state.question!.choices.map(({ name }) => name)).toEqual(['retry', 'skip', 'done', 'roll-back', 'abort']);
    const { code, stdout } = await lab.cli(['watch', '--once']);
    expect(code, 'a person must decide').toBe(4);
    expect(stdout).toMatch(/Re-protect failed\. What now\?/);
  });

  test('field note 15: a person skips it: recovered, with a warning that stays in the report', async () => {
    await ran(lab, ['decide', 'skip', '--as', 'asha', '--reason', 'the disk comes tomorrow']);
    const state = await untilPhase(lab, 'recovered');
    const warning = 'Re-protect was skipped by asha: the database is NOT protected until a backup is taken';
    expect(state.warnings).toContain(warning);
    expect(step(state, 'Re-protect')).toMatchObject({
      status: 'skipped',
      decision: { by: 'asha', choice: 'skip', reason: 'the disk comes tomorrow' },
    });
    expect((await ran(lab, ['report'])).replaceAll('\\', '')).toContain('NOT protected until a backup is taken');
    await ran(lab, ['close', '--as', 'ben', '--leave-tasks-open', 'a test']);
    renameSync(lab.locations['onsite']!, `${lab.locations['onsite']}.file`);
    renameSync(`${lab.locations['onsite']}.away`, lab.locations['onsite']!);
  });

  test('field note 2: the next restore follows the new timeline, and drops nothing of it', async () => {
    await ran(lab, ['backup', 'create', '--full']);
    expect(await timelineOf(lab.primary)).toBe(2);
    const kept = await burst(lab.primary, 20);
    await canaryBeats(lab.primary);
    await overwritePages(lab.primary, 'orders');
    await declare(lab);
    const state = await untilQuestion(lab, 'approval', 'Approve');
    expect(step(state, 'Restore beside').summary).toMatch(/timeline 3$/);
    await ran(lab, ['approve', '--as', 'asha']);
    await untilPhase(lab, 'recovered');
    const ids = await orderIds(lab.primary);
    expect(
      kept.filter(({ id }) => !ids.has(id)),
      'orders that were placed on timeline 2',
    ).toEqual([]);
    expect(await timelineOf(lab.primary)).toBe(3);
  });

  test('field note 13, 15: a backup that fails at its location ends with an error, and not in silence', async () => {
    await ran(lab, ['close', '--as', 'ben', '--leave-tasks-open', 'a test']);
    renameSync(lab.locations['onsite']!, `${lab.locations['onsite']}.away`);
    writeFileSync(lab.locations['onsite']!, 'a file, where a directory should be');
    const { code, stderr } = await lab.cli(['backup', 'create', '--full']);
    expect(code, stderr).toBe(2);
    const doctor = JSON.parse((await lab.cli(['doctor', '--json'])).stdout) as {
      checks: { what: string; result: string }[];
    };
    expect(doctor.checks).toContainEqual(expect.objectContaining({ what: 'main primary: backup age', result: 'fail' }));
  });

  test('field note 16: no secret is in a history, a report or a log, after all that failed', async () => {
    await expectNoSecrets(lab);
    expect((await (await lifeboatOf(lab)).incidents()).length).toBe(2);
  });
});
