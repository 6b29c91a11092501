import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { damageIndex, dropTable, wrongData } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { quarantineDirectory } from '../../vocabulary/names.js';
import {
  canaryBeats,
  contents,
  expectInService,
  expectNewBackup,
  expectNothingBeside,
  expectReports,
  fileOf,
  isFenced,
  moment,
  orderIds,
} from '../helpers/end-state.js';
import { expectNoSecrets, storeHistory } from '../helpers/histories.js';
import {
  close,
  declare,
  endLab,
  ended,
  noIncident,
  protect,
  ran,
  refused,
  stateOf,
  step,
  stepNames,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';

/** Damage that needs no restore, data that is wrong on sound pages, and how an incident is closed. */
describe('what is not damaged in its tables', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ rows: 3000, fast: true });
    await protect(lab);
  }, 900_000);
  beforeEach(() => noIncident(lab));
  afterAll(() => endLab(lab));

  test.each(['order', 'garbage'] as const)(
    'an index alone (%s) is repaired by REINDEX: nothing is restored, nothing lost',
    async (how) => {
      const { primary } = lab;
      await burst(primary, 20);
      const good = await contents(primary);
      const table = await fileOf(primary, 'orders');
      await damageIndex(primary, 'orders_created', how);
      await declare(lab);
      const state = await untilPhase(lab, 'recovered');
      expect(step(state, 'Assess the damage').summary).toMatch(/^repairable: index public\.orders_created/);
      expect(step(state, 'Repair').summary).toMatch(/^1 index(es)? rebuilt; then healthy/);
      expect(stepNames(state)).not.toContain('Restore beside');
      expect(stepNames(state), 'nobody is asked').not.toContain('Approve');
      expect(state.measured).toMatchObject({ rpoSeconds: 0, rtoSeconds: expect.any(Number) });
      expect(state).toMatchObject({ quarantine: [], canRollBack: false, lost: [] });
      expect(await contents(primary)).toBe(good);
      expect(
        await primary.sql(`SELECT count(*)::int AS n FROM orders WHERE created_at > '2000-01-01'`),
        'through the index',
      ).toEqual([{ n: (await orderIds(primary)).size }]);
      expect(await fileOf(primary, 'orders'), 'the table was not rewritten').toBe(table);
      await expectInService(lab, 1);
      await expectNewBackup(lab, state, 1);
      await expectNothingBeside(lab);
      expect((await expectReports(lab, state)).json).toMatchObject({ rpo: { seconds: 0, met: true } });
      await close(lab);
      if (how === 'order') await storeHistory(lab, 'repair');
    },
  );

  test('--vacuum-full rewrites the table of the damaged index too', async () => {
    const { primary } = lab;
    const good = await contents(primary);
    const table = await fileOf(primary, 'payments');
    await damageIndex(primary, 'payments_order', 'garbage');
    await declare(lab, { vacuumFull: true });
    const state = await untilPhase(lab, 'recovered');
    expect(step(state, 'Repair').summary).toMatch(/1 tables? rewritten/);
    expect(await fileOf(primary, 'payments')).not.toBe(table);
    expect(await contents(primary)).toBe(good);
    await expectInService(lab, 1);
    await close(lab);
  });

  test('an incident is closed when its tasks are done: each is ticked, a second close is refused, and a new incident can be declared', async () => {
    await damageIndex(lab.primary, 'orders_customer', 'garbage');
    const first = await declare(lab);
    await untilPhase(lab, 'recovered');
    await refused(
      lab,
      ['close', '--as', 'ben'],
      2,
      /Tasks are open: root-cause, document-update, debrief, improvement, customer-report/,
    );
    await refused(lab, ['note', 'hm', '--task', 'nonsense'], 2, /no task "nonsense"; there are root-cause/);
    await refused(lab, ['abort', '--reason', 'too late'], 2, /is recovered, and cannot be aborted/);
    for (const task of ['root-cause', 'document-update', 'debrief', 'improvement']) {
      expect(await ran(lab, ['note', `${task} is done`, '--task', task, '--as', 'asha'])).toMatch(/is done/);
    }
    await refused(lab, ['close', '--as', 'ben'], 2, /Tasks are open: customer-report/);
    await ran(lab, ['note', 'no customer saw it', '--task', 'customer-report', '--as', 'asha']);
    expect(await ran(lab, ['close', '--as', 'ben'])).toMatch(/^Closed\./);
    const state = await untilPhase(lab, 'closed');
    await ended(lab);
    expect(state.tasks.map(({ doneAt, by }) => [typeof doneAt, by])).toEqual(state.tasks.map(() => ['string', 'asha']));
    expect(state.ending).toMatch(/^Closed by ben/);
    expect((await expectReports(lab, state)).json).toMatchObject({ tasksOpen: [], incident: { phase: 'closed' } });
    await refused(lab, ['close', '--as', 'ben'], 2, /No incident is open|is closed/);
    await refused(lab, ['note', 'too late'], 2, /No incident is open/);

    const second = await declare(lab);
    expect(second.id).not.toBe(first.id);
    expect(second.attached).toBe(false);
    // Nothing is damaged: it asks, and is told to keep the database as it is.
    await untilQuestion(lab, 'approval', 'Choose the target');
    await ran(lab, ['decide', 'keep', '--reason', 'only to see that it can be declared']);
    await untilPhase(lab, 'recovered');
    await close(lab);
  });

  test('an UPDATE without WHERE: the pages are sound, so it asks for the moment to go back to; decide restore --to', async () => {
    const { primary } = lab;
    await canaryBeats(primary);
    const good = await contents(primary);
    const target = await moment(primary);
    const { rows } = await wrongData(primary);
    expect(rows).toBeGreaterThan(3000);
    await canaryBeats(primary);
    await declare(lab);
    const asked = await untilQuestion(lab, 'approval', 'Choose the target');
    expect(step(asked, 'Assess the damage').summary).toMatch(/^logically wrong: query 1 of the plan gives \d+, not 0/);
    expect(asked.question.choices.map(({ name }) => name)).toEqual(['restore', 'keep', 'abort']);
    await refused(lab, ['decide', 'restore'], 2, /needs a target/);
    await refused(lab, ['decide', 'restore', '--to', '2026-02-30T00:00:00Z'], 2, /not a moment of the calendar/);
    await refused(lab, ['approve'], 2, /"approve" is not offered here; choose restore, keep, abort/);
    await refused(lab, ['decide', 'keep'], 2, /needs a reason/);
    await ran(lab, ['decide', 'restore', '--to', target, '--as', 'asha']);
    const restored = await untilQuestion(lab, 'approval', 'Approve');
    expect(restored.target).toBe(target);
    await ran(lab, ['approve', '--as', 'asha']);
    const state = await untilPhase(lab, 'recovered');
    expect(await contents(primary)).toBe(good);
    await expectInService(lab, 2);
    await expectNewBackup(lab, state, 2);
    await expectNothingBeside(lab);
    await close(lab);
    await storeHistory(lab, 'logically-wrong');
  });

  test('a dropped table, decide keep: resumed as it is, nothing restored, and said so', async () => {
    const { primary } = lab;
    await dropTable(primary, 'payments');
    await declare(lab);
    const asked = await untilQuestion(lab, 'approval', 'Choose the target');
    expect(asked.question.facts.join('\n')).toMatch(/payments" does not exist/);
    expect(isFenced(primary), 'nobody writes while it waits').toBe(true);
    await ran(lab, ['decide', 'keep', '--reason', 'the table was not needed any more', '--as', 'asha']);
    const state = await untilPhase(lab, 'recovered');
    expect(stepNames(state)).not.toContain('Restore beside');
    expect(step(state, 'Choose the target').decision).toMatchObject({
      by: 'asha',
      choice: 'keep',
      reason: 'the table was not needed any more',
    });
    expect(state.measured.rpoNote).toMatch(/kept the database as it is/);
    expect(existsSync(quarantineDirectory(primary.dataDirectory, state.id))).toBe(false);
    await expect(primary.asApp('SELECT 1 FROM payments')).rejects.toThrow(/does not exist/);
    await expectInService(lab, 2);
    await expectNothingBeside(lab);
    await close(lab);
  });

  test('a second start attaches to the open incident, and says so', async () => {
    const first = await declare(lab);
    const second = await lab.cli(['start', 'database-corruption', '--as', 'asha', '--detach']);
    expect(second.stdout).toMatch(new RegExp(`An incident is open already: ${first.id}.*declared by ben`));
    expect((await stateOf(lab)).declaredBy).toBe('ben');
    await untilQuestion(lab, 'approval', 'Choose the target');
    await ran(lab, ['abort', '--resume', '--reason', 'only to see that there is one']);
    await untilPhase(lab, 'aborted');
    await ended(lab);
    await expectInService(lab);
  });

  test('no history, no report and no log holds a secret or a command', () => expectNoSecrets(lab));
});
