import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { writeContinuously } from '../../lab/shop.js';
import {
  beside,
  caught,
  claimOf,
  expectInService,
  expectNothingBeside,
  expectReports,
  strays,
  timelineOf,
} from '../helpers/end-state.js';
import { expectNoSecrets, storeHistory } from '../helpers/histories.js';
import {
  declare,
  endLab,
  ended,
  lifeboatOf,
  noIncident,
  protect,
  ran,
  stateOf,
  step,
  stepNames,
  untilPhase,
} from '../helpers/incident.js';

/** A drill is the real thing on scratch: production does not notice, and nothing is left of it. */
describe('a drill', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ standby: true, fast: true });
    await protect(lab);
  }, 900_000);
  beforeEach(() => noIncident(lab));
  afterAll(() => endLab(lab));

  /** What a drill could have touched of production, if it touched any of it. */
  async function production(): Promise<Record<string, unknown>> {
    const { primary, standby } = lab;
    const files = [
      'postgresql.conf',
      'postgresql.auto.conf',
      'pg_hba.conf',
      'pg_ident.conf',
      'PG_VERSION',
      'postmaster.pid',
    ];
    const of = (directory: string) => ({
      names: readdirSync(directory).sort(),
      settings: files.map((file) => [
        file,
        statSync(join(directory, file)).mtimeMs,
        readFileSync(join(directory, file), 'utf8'),
      ]),
      inode: statSync(directory).ino,
    });
    const [system] = await primary.sql('SELECT system_identifier::text AS id FROM pg_control_system()');
    const { backups } = await (await lifeboatOf(lab)).backups.list('main');
    return {
      primary: of(primary.dataDirectory),
      standby: of(standby!.dataDirectory),
      beside: [beside(primary), beside(standby!)],
      system,
      timeline: await timelineOf(primary),
      started: (await primary.sql('SELECT pg_postmaster_start_time()::text AS at'))[0],
      receivers: await primary.sql(
        `SELECT pid, application_name FROM pg_stat_replication WHERE application_name = 'db2'`,
      ),
      service: readFileSync(join(lab.directory, 'app1', 'service.pid'), 'utf8'),
      claim: existsSync(claimOf(primary)),
      backups: backups.map(({ id, location }) => `${id} ${location}`),
    };
  }

  test('restores and verifies on scratch, measures RTO and RPO, touches nothing of production and cleans up', async () => {
    const before = await production();
    const writer = writeContinuously(lab.primary, 20);
    const { code, stdout } = await lab.cli(['drill', 'start', 'database-corruption', '--as', 'ben']);
    await writer.stop();
    expect(code, stdout).toBe(0);
    expect(writer.failed, 'writes that failed while it ran').toBe(0);
    expect(writer.written.length).toBeGreaterThan(50);
    expect(await production()).toEqual(before);
    const state = await stateOf(lab, 'drill');
    expect(state).toMatchObject({ mode: 'drill', phase: 'closed', quarantine: [], tasks: [], canRollBack: false });
    expect(state.ending).toMatch(/^Drill ended: production was not touched; the scratch copy .* was removed$/);
    expect(state.measured.rtoSeconds).toBeGreaterThan(1);
    expect(state.measured.rpoSeconds).toBeLessThan(60);
    expect(state.rows.map(({ ok }) => ok)).toEqual([true, true, true, true]);
    const rehearsed = state.steps.filter((one) => one.rehearsed).map(({ name }) => name);
    expect(rehearsed).toEqual(
      expect.arrayContaining([
        'Stop writes',
        'Save evidence',
        'Assess the damage',
        'Put it in place',
        'Resume the service',
        'Re-protect',
      ]),
    );
    expect(rehearsed).not.toContain('Restore beside');
    expect(rehearsed).not.toContain('Verify the restored copy');
    expect((await expectReports(lab, state)).md).toMatch(/DRILL/);
    await expectNothingBeside(lab);
    await expectInService(lab, 1);
    await storeHistory(lab, 'drill', 'drill');
  });

  test('--dry-run restores nothing and changes nothing, and says what could be done', async () => {
    const before = await production();
    const writer = writeContinuously(lab.primary, 20);
    const { code, stdout } = await lab.cli(['start', 'database-corruption', '--dry-run', '--as', 'ben']);
    await writer.stop();
    expect(code, stdout).toBe(0);
    expect(writer.failed).toBe(0);
    expect(await production()).toEqual(before);
    const state = await stateOf(lab, 'dry-run');
    expect(state).toMatchObject({ mode: 'dry-run', phase: 'closed', quarantine: [] });
    expect(step(state, 'Restore beside')).toMatchObject({
      rehearsed: true,
      summary: expect.stringContaining('could be restored from') as string,
    });
    expect(state.measured).toMatchObject({ rtoSeconds: null, rpoSeconds: null, rtoNote: 'a dry run restores nothing' });
    expect(stepNames(state)).toContain('Rebuild standby db2');
    await expectNothingBeside(lab);
    await expectInService(lab, 1);
  });

  test('its agent is killed in the middle of the restore: back again, it ends what was left, finishes the drill and cleans up', async () => {
    const before = await production();
    await declare(lab, { mode: 'drill' });
    const running = await caught(lab, /^pgbackrest .* restore$/);
    await lab.agents['db1']!.kill9();
    await lab.agents['db1']!.restart();
    const state = await untilPhase(lab, 'closed', 'drill');
    await ended(lab, 'drill');
    expect(running.isAlive(), 'the pgbackrest of the killed agent is gone').toBe(false);
    expect(state.measured.rpoSeconds).not.toBeNull();
    expect(await production()).toEqual(before);
    await expectNothingBeside(lab);
  });

  test('abort --drill in the middle of the restore: it cleans up, and production was not touched', async () => {
    const before = await production();
    await declare(lab, { mode: 'drill' });
    const running = await caught(lab, /^pgbackrest .* restore$/);
    await ran(lab, ['abort', '--drill', '--reason', 'the night shift needs the disk', '--as', 'ben']);
    const state = await untilPhase(lab, 'aborted', 'drill');
    await ended(lab, 'drill');
    expect(running.isAlive()).toBe(false);
    expect(state.ending).toMatch(/^Drill ended: production was not touched; the scratch copy .* was removed$/);
    expect(strays(lab)).toEqual([]);
    expect(await production()).toEqual(before);
    await expectNothingBeside(lab);
    await expectInService(lab, 1);
    await storeHistory(lab, 'drill-aborted', 'drill');
  });

  test('no history, no report and no log holds a secret or a command', () => expectNoSecrets(lab));
});
