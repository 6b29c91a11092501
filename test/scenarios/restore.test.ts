import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dropTable, overwritePages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import {
  contents,
  expectInService,
  expectNewBackup,
  expectNothingBeside,
  expectQuarantined,
  expectReports,
  fileOf,
  firstPage,
  moment,
  orderIds,
  quietMoment,
  timelineOf,
} from '../helpers/end-state.js';
import { expectNoSecrets, storeHistory } from '../helpers/histories.js';
import {
  close,
  declare,
  endLab,
  lifeboatOf,
  noIncident,
  protect,
  ran,
  recover,
  step,
  stepNames,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';

/**
 * Damage that only a restore heals: to a moment, to the latest, to a backup, to an LSN. One database, and one recovery
 * after the other.
 */
describe(
  'a database that cannot be repaired is restored beside, verified and put in place',
  { timeout: 900_000 },
  () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await createLab({ standby: true, fast: true });
      await protect(lab);
    }, 900_000);
    beforeEach(() => noIncident(lab));
    afterAll(() => endLab(lab));

    test('pages overwritten and a table dropped, --to a moment before: all rows until then, none after', async () => {
      const { primary } = lab;
      const kept = await burst(primary, 50);
      const good = await contents(primary);
      const target = await quietMoment(primary);
      const lost = await burst(primary, 30);
      const damagedFile = await fileOf(primary, 'orders');
      await overwritePages(primary, 'orders', [0, 1]);
      await dropTable(primary, 'payments');
      const damagedPage = firstPage(primary.dataDirectory, damagedFile);

      const started = await lab.cli(['start', 'database-corruption', '--to', target, '--as', 'ben']);
      expect(started, 'it ends at the question when nobody watches').toMatchObject({ code: 4 });
      const asked = await untilQuestion(lab, 'approval', 'Approve');
      expect(asked.question.facts.join('\n')).toMatch(
        /target 20\S+Z[^]*RPO reached \d[^]*orders: 1050 rows, 10\d\d last known[^]*payments: 1000 rows/,
      );
      const evidence = asked.evidence.find(({ file }) => file.endsWith('main-amcheck-1.txt'))!;
      const findings = readFileSync(evidence.file, 'utf8');
      expect(findings, 'the damaged pages were found').toMatch(/public\.orders/);
      expect(findings, 'the dropped table was found').toMatch(/payments" does not exist/);
      expect(step(asked, 'Assess the damage').summary).toMatch(/^not repairable: /);
      expect(step(asked, 'Stop writes').summary).toMatch(
        /web stopped.*a session that was open before can no longer write.*it listens on a private socket alone/,
      );
      await expect(primary.asApp('SELECT 1'), 'the database is closed').rejects.toThrow(/ECONNREFUSED/);

      await ran(lab, ['approve', '--as', 'asha', '--reason', 'the figures are right']);
      const state = await untilPhase(lab, 'recovered');
      expect(await lab.cli(['watch']), 'recovered').toMatchObject({ code: 0 });

      const ids = await orderIds(primary);
      expect(kept.filter(({ id }) => !ids.has(id))).toEqual([]);
      expect(lost.filter(({ id }) => ids.has(id))).toEqual([]);
      expect(await contents(primary), 'every row of every table is as it was').toBe(good);
      expect(state.steps.map(({ status }) => status)).toEqual(state.steps.map(() => 'done'));
      expect(step(state, 'Approve').decision).toMatchObject({
        by: 'asha',
        choice: 'approve',
        reason: 'the figures are right',
      });
      expect(state.measured.rtoSeconds).toBeGreaterThan(1);
      expect(state.measured.rtoSeconds).toBeLessThan(state.objectives.rtoSeconds);
      const sinceTarget = (Date.parse(state.declaredAt) - Date.parse(target)) / 1000;
      expect(
        state.measured.rpoSeconds,
        'the canary is of the last two seconds before the target',
      ).toBeGreaterThanOrEqual(sinceTarget - 0.001);
      expect(state.measured.rpoSeconds).toBeLessThan(sinceTarget + 30);
      const [database, service] = state.components;
      expect(database, 'its figures are those of the incident').toMatchObject({
        ...{ name: 'main', kind: 'database', rows: state.rows, lost: state.lost },
        measured: { rpoSeconds: state.measured.rpoSeconds },
      });
      expect(service).toMatchObject({
        name: 'web',
        kind: 'service',
        measured: { rtoSeconds: expect.any(Number) as number },
      });
      expect(service!.measured.rtoSeconds, 'it answered before the step had ended').toBeLessThanOrEqual(
        database!.measured.rtoSeconds! + 0.5,
      );
      expect(state.rows).toContainEqual({ table: 'orders', expected: expect.any(Number), found: 1050, ok: true });
      expect(state.canRollBack).toBe(true);
      const quarantine = expectQuarantined(lab, state);
      expect(firstPage(quarantine, damagedFile), 'the damaged page is kept as it was').toBe(damagedPage);
      expectQuarantined(lab, state, lab.standby);
      await expectInService(lab, 2);
      await expectNewBackup(lab, state, 2);
      await expectNothingBeside(lab);
      const { md, json } = await expectReports(lab, state);
      expect(md).toMatch(/asha/);
      expect(json).toMatchObject({
        rto: { met: true },
        rpo: { met: true },
        rowsOk: true,
        tasksOpen: expect.arrayContaining(['root-cause']),
      });
      await close(lab);
      await storeHistory(lab, 'restore-to-a-time');
      expect(existsSync(quarantine), 'closing removes nothing').toBe(true);
    });

    test('pages overwritten, the server killed and down, latest: no committed row is lost', async () => {
      const { primary } = lab;
      await overwritePages(primary, 'payments', [0]);
      // In WAL that nobody archives any more.
      const acknowledged = await burst(primary, 60);
      await primary.kill9();
      const state = await recover(lab);
      const ids = await orderIds(primary);
      expect(
        acknowledged.filter(({ id }) => !ids.has(id)),
        'orders that were acknowledged and are gone',
      ).toEqual([]);
      expect(await primary.sql('SELECT count(*)::int AS n FROM payments')).toEqual([{ n: 1000 }]);
      expect(state.measured.rpoSeconds).toBeLessThan(120);
      expect(stepNames(state)).not.toContain('Repair');
      expectQuarantined(lab, state);
      await expectInService(lab, 3);
      await expectNewBackup(lab, state, 3);
      await expectNothingBeside(lab);
      await expectReports(lab, state);
      await close(lab);
      await storeHistory(lab, 'restore-latest');
    });

    test('a control file that cannot be read, so that the server does not start at all, latest: no committed row is lost', async () => {
      const { primary } = lab;
      const acknowledged = await burst(primary, 60);
      const good = await contents(primary);
      await primary.kill9();
      const file = openSync(join(primary.dataDirectory, 'global', 'pg_control'), 'r+');
      writeSync(file, Buffer.alloc(48, 0xa5), 0, 48, 0);
      closeSync(file);
      const state = await recover(lab);
      expect(step(state, 'Assess the damage').summary).toMatch(
        /not repairable: the server does not start: .*(control file|incompatible with server)/,
      );
      const ids = await orderIds(primary);
      expect(
        acknowledged.filter(({ id }) => !ids.has(id)),
        'orders that were acknowledged and are gone',
      ).toEqual([]);
      expect(await contents(primary)).toBe(good);
      expectQuarantined(lab, state);
      await expectInService(lab, 4);
      await expectNewBackup(lab, state, 4);
      await expectNothingBeside(lab);
      await close(lab);
    });

    test('a catalog that nobody can connect with, the server running, latest: no committed row is lost', async () => {
      const { primary } = lab;
      const acknowledged = await burst(primary, 20);
      const good = await contents(primary);
      await overwritePages(primary, 'pg_authid');
      await expect(primary.sql('SELECT 1'), 'nobody gets in').rejects.toThrow(/invalid page/);
      const state = await recover(lab);
      const ids = await orderIds(primary);
      expect(
        acknowledged.filter(({ id }) => !ids.has(id)),
        'orders that were acknowledged and are gone',
      ).toEqual([]);
      expect(await contents(primary)).toBe(good);
      await expectInService(lab, 5);
      await expectNothingBeside(lab);
      expect(state.measured.rtoSeconds).toBeLessThan(state.objectives.rtoSeconds);
      await close(lab);
    });

    test('--to a named backup: what the backup holds, and nothing after it', async () => {
      const { primary } = lab;
      await burst(primary, 10);
      const good = await contents(primary);
      await ran(lab, ['backup', 'create', '--full']);
      const { backups } = await (await lifeboatOf(lab)).backups.list('main');
      const label = backups[0]!.id;
      await burst(primary, 400);
      await ran(lab, ['backup', 'create', '--incremental']);
      const state = await recover(lab, { to: label });
      expect(state.backup).toMatchObject({ label });
      expect(state.target).toBe(label);
      expect(await contents(primary)).toBe(good);
      await expectInService(lab, 6);
      await close(lab);
    });

    test('--to an LSN: everything before it and nothing from it on', async () => {
      const { primary } = lab;
      await burst(primary, 10);
      const good = await contents(primary);
      const [{ lsn } = { lsn: '' }] = await primary.sql<{ lsn: string }>(
        'SELECT pg_current_wal_insert_lsn()::text AS lsn',
      );
      await burst(primary, 10);
      const before = await timelineOf(primary);
      const state = await recover(lab, { to: lsn });
      expect(state.target).toBe(lsn);
      expect(await contents(primary)).toBe(good);
      await expectInService(lab, before + 1);
      await expectNothingBeside(lab);
      await close(lab);
    });

    test('what cannot be reached is refused before anything is stopped', async () => {
      const { primary } = lab;
      const after = await moment(primary);
      const declared = await declare(lab, { to: '2020-01-01T00:00:00Z' }).catch(
        (error: unknown) => (error as Error).message,
      );
      expect(declared).toMatch(/exit 3[^]*Refused, and nothing was changed/);
      const rows = await primary.sql(
        `SELECT 1 FROM lifeboat.canary WHERE ts > $1::timestamptz - interval '4 seconds'`,
        [after],
      );
      expect(rows, 'the canary beats').toHaveLength(1);
      await expectInService(lab);
    });

    test('no history, no report and no log holds a secret or a command', () => expectNoSecrets(lab));
  },
);
