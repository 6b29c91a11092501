import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { damageBackup } from '../../lab/damage-backups.js';
import { overwritePages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { restoredDirectory } from '../../vocabulary/names.js';
import {
  beside,
  expectInService,
  expectNewBackup,
  expectNothingBeside,
  expectQuarantined,
  expectReports,
  fileOf,
  firstPage,
  isFenced,
  orderIds,
  serviceIsHealthy,
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
  recover,
  refused,
  step,
  untilPhase,
  untilQuestion,
  untilState,
} from '../helpers/incident.js';

/**
 * What was put in place can be taken back: by itself when it does not hold, by a person as long as the incident is
 * open. And what comes after.
 */
describe('putting the restored copy in place', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ fast: true });
    await protect(lab);
  }, 900_000);
  beforeEach(() => noIncident(lab));
  afterAll(() => endLab(lab));

  test('it does not start in place: the old one is put back and a person asked; mended, retry puts it in place', async () => {
    const { primary } = lab;
    const acknowledged = await burst(primary, 20);
    const file = await fileOf(primary, 'payments');
    await overwritePages(primary, 'payments');
    const damaged = firstPage(primary.dataDirectory, file);
    const { id } = await declare(lab);
    await untilQuestion(lab, 'approval', 'Approve');
    const broken = "shared_preload_libraries = 'not_there'\n";
    appendFileSync(join(restoredDirectory(primary.dataDirectory, id), 'postgresql.conf'), broken);
    await ran(lab, ['approve', '--as', 'asha']);
    const asked = await untilQuestion(lab, 'decision', 'Put it in place');
    expect(asked.question.problem).toMatchObject({
      type: 'ServerFailed',
      message: expect.stringContaining('not_there') as string,
    });
    expect(asked.warnings.join('\n')).toMatch(
      /the restored copy did not hold in place .*; the old directory is back in place, closed; the restored one is at/,
    );
    expect(firstPage(primary.dataDirectory, file), 'the old one is in place').toBe(damaged);
    expect(await timelineOf(primary)).toBe(1);
    expect(isFenced(primary)).toBe(true);
    expect(asked.canRollBack).toBe(false);
    const { replaced } = beside(primary);
    expect(replaced).toHaveLength(1);

    const settings = join(replaced[0]!, 'postgresql.conf');
    writeFileSync(settings, readFileSync(settings, 'utf8').replace(broken, ''));
    await ran(lab, ['decide', 'retry', '--as', 'asha']);
    const state = await untilPhase(lab, 'recovered');
    expect(step(state, 'Put it in place')).toMatchObject({
      status: 'done',
      attempts: 2,
      decision: { by: 'asha', choice: 'retry' },
    });
    const ids = await orderIds(primary);
    expect(acknowledged.filter((one) => !ids.has(one.id))).toEqual([]);
    expect(firstPage(expectQuarantined(lab, state), file)).toBe(damaged);
    await expectInService(lab, 2);
    await expectNewBackup(lab, state, 2);
    await expectNothingBeside(lab);
    expect(beside(primary).replaced).toEqual([]);
    await close(lab);
    await storeHistory(lab, 'put-in-place-retried');
  });

  test('somebody writes behind the fence during the approval: who approved is told how much, and asked again', async () => {
    const { primary } = lab;
    await burst(primary, 5);
    await overwritePages(primary, 'payments');
    await declare(lab);
    await untilQuestion(lab, 'approval', 'Approve');
    // Started in another way, with the configuration as it was: what is acknowledged from here on is in the old
    // directory alone.
    const hba = join(primary.dataDirectory, 'pg_hba.conf');
    await primary.stop();
    writeFileSync(hba, readFileSync(`${hba}.lifeboat-open`, 'utf8'));
    await primary.start();
    for (let n = 0; n < 7; n += 1) await primary.asApp('update products set price = price where id = 1');
    await ran(lab, ['approve', '--as', 'asha']);
    const asked = await untilState(
      lab,
      'it is asked again',
      ({ question, behindFence }) => question?.step === 'Approve' && behindFence === 7,
    );
    expect(asked.question?.facts.join('\n')).toMatch(
      /CHECK FAILED: 7 transactions were committed in main after it was closed/,
    );
    expect(isFenced(primary), 'closed again').toBe(true);
    await refused(lab, ['approve', '--as', 'asha'], 2, /needs a reason/);
    await ran(lab, ['approve', '--as', 'asha', '--reason', 'price lists, entered again by hand']);
    const state = await untilPhase(lab, 'recovered');
    expect(state.lost.join('\n')).toMatch(
      /7 transactions were committed in main after it was closed: not in the restored copy/,
    );
    await expectInService(lab, await timelineOf(primary));
    await close(lab);
  });

  test('a person rolls back after the recovery: the old copy is in service again, the new one kept; the next incident follows the old timeline', async () => {
    const { primary } = lab;
    const before = await timelineOf(primary);
    const file = await fileOf(primary, 'payments');
    await overwritePages(primary, 'payments');
    const damaged = firstPage(primary.dataDirectory, file);
    await recover(lab);
    expect(await timelineOf(primary)).toBe(before + 1);
    const onlyInTheCopy = await burst(primary, 10);
    const refusal = await lab.cli(['decide', 'roll-back']);
    expect(refusal.stderr).toMatch(/needs a reason/);
    await ran(lab, ['decide', 'roll-back', '--reason', 'the old one had rows that we need', '--as', 'asha']);
    const state = await untilPhase(lab, 'rolled back');
    await ended(lab);
    await storeHistory(lab, 'roll-back');
    expect(state.ending).toMatch(/^The quarantined copy is in place again/);
    expect(state.canRollBack).toBe(false);
    expect(state.quarantine).toEqual([
      expect.objectContaining({ what: 'the restored copy that was rolled back', path: beside(primary).replaced[0] }),
    ]);
    expect(firstPage(primary.dataDirectory, file)).toBe(damaged);
    expect((await lab.cli(['watch', '--once'])).code, 'not recovered').toBe(5);
    await expectReports(lab, state);
    await expectInService(lab, before);
    await expectNothingBeside(lab);

    const onlyInTheOld = await burst(primary, 10);
    const later = await recover(lab);
    expect(later.backup).toBeDefined();
    const ids = new Map(
      (await primary.sql<{ id: number; at: Date }>('SELECT id::int AS id, created_at AS at FROM orders')).map((row) => [
        row.id,
        row.at.getTime(),
      ]),
    );
    expect(
      onlyInTheOld.filter(({ id, at }) => ids.get(id) !== at.getTime()),
      'what was written after the roll-back is there',
    ).toEqual([]);
    expect(
      onlyInTheCopy.filter(({ id, at }) => ids.get(id) === at.getTime()),
      'what only the rolled-back copy had is not',
    ).toEqual([]);
    expect(await timelineOf(primary), 'a timeline that nobody used before').toBe(before + 2);
    await expectInService(lab, before + 2);
    await expectNewBackup(lab, later, before + 2);
    await close(lab);
  });

  test('a roll-back that cannot be done asks, and can be aborted: the copy stays in place, closed, and is opened again', async () => {
    const { primary } = lab;
    await overwritePages(primary, 'payments');
    const recovered = await recover(lab);
    const quarantine = expectQuarantined(lab, recovered);
    renameSync(quarantine, `${quarantine}.elsewhere`);
    await ran(lab, ['decide', 'roll-back', '--reason', 'to see what happens', '--as', 'asha']);
    const asked = await untilQuestion(lab, 'decision', 'Put the old copy back');
    expect(asked.question.problem!.message).toContain(quarantine);
    await ran(lab, ['abort', '--reason', 'somebody moved it', '--as', 'asha']);
    const state = await untilPhase(lab, 'aborted');
    await ended(lab);
    expect(state.ending).toMatch(/[Tt]he restored copy is in place/);
    expect(isFenced(primary)).toBe(true);
    await ran(lab, ['abort', '--resume']);
    await expectInService(lab);
  });

  test('two incidents in a row, the second one from a backup of before the first: what was written in between is there', async () => {
    const { primary } = lab;
    await ran(lab, ['backup', 'create', '--full']);
    const old = (await (await lifeboatOf(lab)).backups.list('main')).backups[0]!.id;
    await overwritePages(primary, 'payments');
    await recover(lab);
    const between = await burst(primary, 30);
    await close(lab);
    const { backups } = await (await lifeboatOf(lab)).backups.list('main');
    for (const { id: label } of backups.filter((backup) => backup.id > old))
      damageBackup(lab.locations['onsite']!, 'flip', new RegExp(`backup/[^/]+/${label}/pg_data/base/.*`), 1, 5);
    await overwritePages(primary, 'payments');
    const before = await timelineOf(primary);
    const state = await recover(lab);
    expect(state.backup!.label, 'the old backup was used').toBe(old);
    const ids = await orderIds(primary);
    expect(
      between.filter(({ id }) => !ids.has(id)),
      'rows written between the incidents',
    ).toEqual([]);
    await expectInService(lab, before + 1);
    await expectNothingBeside(lab);
    expect(await serviceIsHealthy(lab)).toBe(true);
    expect(existsSync(expectQuarantined(lab, state))).toBe(true);
    await close(lab);
    await storeHistory(lab, 'second-incident-from-an-old-backup');
  });

  test('no history, no report and no log holds a secret or a command', () => expectNoSecrets(lab));
});
