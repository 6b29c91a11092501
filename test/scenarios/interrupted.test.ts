import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readPidFile } from '../../lab/cluster.js';
import { dropTable, overwritePages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { incidentWorkflowId, restoredDirectory } from '../../vocabulary/names.js';
import {
  caught,
  claimOf,
  contents,
  expectInService,
  expectNothingBeside,
  expectReports,
  isFenced,
  quietMoment,
  serviceIsHealthy,
  strays,
  timelineOf,
} from '../helpers/end-state.js';
import { expectNoSecrets, storeHistory } from '../helpers/histories.js';
import {
  close,
  declare,
  endLab,
  ended,
  lifeboatOf,
  noIncident,
  protect,
  ran,
  refused,
  stateOf,
  step,
  untilPhase,
  untilQuestion,
  untilState,
} from '../helpers/incident.js';

/**
 * A person decides against it: another target, abort in the middle of something, cancel in Temporal. The plan asks for
 * two people.
 */
describe('an incident that does not go straight on', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ approvals: 2, rows: 5000, fast: true });
    await protect(lab);
  }, 900_000);
  beforeEach(() => noIncident(lab));
  afterAll(() => endLab(lab));

  /** Production is where and as it was, closed; nothing holds it, and nothing runs beside it. */
  async function expectAsItWas(good: string, timeline: number): Promise<void> {
    expect(await contents(lab.primary)).toBe(good);
    expect(await timelineOf(lab.primary)).toBe(timeline);
    expect(isFenced(lab.primary), 'closed').toBe(true);
    await expect(lab.primary.asApp('SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
    expect(await serviceIsHealthy(lab)).toBe(false);
    expect(existsSync(claimOf(lab.primary)), 'the claim is released').toBe(false);
    expect(strays(lab)).toEqual([]);
  }

  test('the approval is answered with another moment; who declared may not approve, however they spell their name', async () => {
    const { primary } = lab;
    const good = await contents(primary);
    const earlier = await quietMoment(primary);
    await burst(primary, 10);
    const later = await quietMoment(primary);
    await dropTable(primary, 'payments');
    await declare(lab, { to: later, by: 'ben' });
    const first = await untilQuestion(lab, 'approval', 'Approve');
    for (const name of ['ben', 'BEN', '  Ben '])
      await refused(lab, ['approve', '--as', name], 2, /two people: ben declared this incident/);
    await refused(lab, ['decide', 'approve', '--as', 'Ben'], 2, /two people/);
    await ran(lab, ['decide', 'restore', '--to', earlier, '--as', 'asha', '--question', String(first.question.id)]);
    const second = await untilState(
      lab,
      'the second approval',
      ({ question }) => question !== undefined && question.id > first.question.id,
    );
    expect(second.target).toBe(earlier);
    expect(second.question!.facts.join('\n')).toContain('orders: 5000 rows');
    await refused(
      lab,
      ['approve', '--as', 'asha', '--question', String(first.question.id)],
      2,
      /was answered already; question \d+ is open now/,
    );
    expect(
      await contents(primary).catch(() => 'the damaged one is still in place'),
      'nothing was put in place',
    ).not.toBe(good);
    await ran(lab, ['approve', '--as', 'asha']);
    const state = await untilPhase(lab, 'recovered');
    expect(state.steps.filter(({ name }) => name === 'Approve').map(({ decision }) => decision!.choice)).toEqual([
      'restore',
      'approve',
    ]);
    expect(step(state, 'Approve').decision!.by).toBe('asha');
    expect(await contents(primary), 'what was there at the earlier moment').toBe(good);
    await expectInService(lab, 2);
    await expectNothingBeside(lab);
    await close(lab);
    await storeHistory(lab, 'another-target');
  });

  test('abort while a restore runs: pgbackrest is gone, production is as it was and closed; abort --resume opens it', async () => {
    const good = await contents(lab.primary);
    await declare(lab, { to: await quietMoment(lab.primary) });
    const running = await caught(lab, /^pgbackrest .* restore$/);
    expect((await stateOf(lab)).steps.at(-1)!.name).toBe('Restore beside');
    await ran(lab, ['abort', '--reason', 'it was the wrong database', '--as', 'asha']);
    const state = await untilPhase(lab, 'aborted');
    await ended(lab);
    expect(running.isAlive(), 'pgbackrest is gone').toBe(false);
    await expectAsItWas(good, 2);
    expect(state.ending).toMatch(
      /[Tt]he damaged database is where it was; .*the database is closed; services that were stopped stay stopped/,
    );
    expect(state.notes.at(-1)).toMatchObject({ by: 'asha', text: 'abort: it was the wrong database' });
    await expectReports(lab, state);
    await storeHistory(lab, 'abort');
    await ran(lab, ['abort', '--resume', '--as', 'asha']);
    await expectInService(lab, 2);
  });

  test('abort --resume while the copy is verified: the copy is stopped, and the service runs again at once', async () => {
    const { id } = await declare(lab, { to: await quietMoment(lab.primary) });
    await untilState(lab, 'the copy is verified', ({ steps }) =>
      steps.some(({ name }) => name === 'Verify the restored copy'),
    );
    await ran(lab, ['abort', '--resume', '--reason', 'a false alarm', '--as', 'asha']);
    const state = await untilPhase(lab, 'aborted');
    await ended(lab);
    expect(
      readPidFile(restoredDirectory(lab.primary.dataDirectory, id)),
      'the server of the copy is gone',
    ).toBeUndefined();
    expect(state.ending).toMatch(/open, and takes writes.*web runs/);
    await expectInService(lab, 2);
    await expectNothingBeside(lab, { copyKept: true });
    await storeHistory(lab, 'abort-and-resume');
  });

  test('cancelled in Temporal while it waits for an approval: made safe like an abort, and shown as cancelled', async () => {
    const good = await contents(lab.primary);
    await declare(lab, { to: await quietMoment(lab.primary) });
    await untilQuestion(lab, 'approval', 'Approve');
    const { temporal } = await lifeboatOf(lab);
    const handle = temporal.workflow.getHandle(incidentWorkflowId(lab.system));
    await handle.cancel();
    const state = await untilPhase(lab, 'aborted');
    await ended(lab);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(state.ending).toMatch(
      /^The restored copy is kept, stopped, at .*; the damaged database is where it was; .*the database is closed/,
    );
    await expectAsItWas(good, 2);
    await expectReports(lab, state);
    await storeHistory(lab, 'cancelled');
    await ran(lab, ['abort', '--resume', '--as', 'asha']);
    await expectInService(lab, 2);
  });

  test('cancelled in Temporal when it is recovered: ended, and the service goes on', async () => {
    await overwritePages(lab.primary, 'payments');
    await declare(lab);
    await untilQuestion(lab, 'approval', 'Approve');
    await ran(lab, ['approve', '--as', 'asha']);
    await untilPhase(lab, 'recovered');
    const lifeboat = await lifeboatOf(lab);
    await until('it waits for its tasks', async () => !(await lifeboat.locked()));
    const { workflowId } = await lifeboat.incident().locate();
    await lifeboat.temporal.workflow.getHandle(workflowId).cancel();
    await ended(lab);
    const state = await until('the end', () => stateOf(lab));
    expect(state.phase).toBe('closed');
    expect(state.ending).toMatch(/^Closed by a cancellation; what is quarantined stays/);
    await expectInService(lab, 3);
  });

  test('no history, no report and no log holds a secret or a command', () => expectNoSecrets(lab));
});
