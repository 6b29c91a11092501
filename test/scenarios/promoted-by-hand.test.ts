import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wrongData } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { runAsDatabaseUser } from '../../lab/os-user.js';
import { countOrders } from '../../lab/shop.js';
import { tool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import { contents, serviceIsHealthy, timelineOf } from '../helpers/end-state.js';
import { switchSegment } from '../helpers/host.js';
import {
  declare,
  ended,
  endLab,
  lifeboatOf,
  protect,
  ran,
  refused,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';

/**
 * Somebody has promoted the standby by hand, and nobody has corrected the plan: what protects the database goes with
 * it.
 */
describe('a standby that was promoted by hand', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ standby: true, fast: true });
    await protect(lab);
  }, 900_000);
  afterAll(() => endLab(lab));

  const promote = () =>
    runAsDatabaseUser(tool('pg_ctl'), ['promote', '-D', lab.standby!.dataDirectory, '-w'], lab.directory);
  const db2 = () => lab.standby!;
  const canary = async () => {
    const [row] = await db2().sql<{ seq: string }>('select seq::text from lifeboat.canary');
    return Number(row!.seq);
  };
  const backups = async () => (await (await lifeboatOf(lab)).backups.list('main')).backups;
  const checks = async () => {
    const { stdout } = await lab.cli(['doctor', '--json']);
    return (
      JSON.parse(stdout) as { checks: { what: string; host?: string; result: string; says: string; hint?: string }[] }
    ).checks;
  };

  test('is protected within seconds: its canary beats, its WAL is archived, its backups are taken there', async () => {
    await lab.primary.kill9();
    await lab.agents['db1']!.kill9();
    const before = await canary();
    await promote();
    const began = Date.now();
    await until('the canary beats on db2', async () => (await canary()) > before + 1);
    await until('db2 archives', async () => {
      const [row] = await db2().sql<{ last: string | null }>('select last_archived_wal as last from pg_stat_archiver');
      await switchSegment(db2());
      return /^00000002[0-9A-F]{16}$/.test(row!.last ?? '');
    });
    expect((Date.now() - began) / 1000, 'seconds, with room for a machine under load').toBeLessThan(120);
    const { id } = JSON.parse(await ran(lab, ['backup', 'create', '--full', '--json'])) as { id: string };
    expect((await backups())[0]).toMatchObject({ id, type: 'full' });
  });

  test('doctor says that the plan is out of date, and what to write there', async () => {
    const found = (await checks()).filter(({ host }) => host === 'db2');
    expect(found).toContainEqual(
      expect.objectContaining({
        what: 'main primary: plan',
        result: 'warn',
        says: 'the plan is out of date: db2 is the primary of main (timeline 2), and the plan says db1',
        hint: expect.stringContaining('primary: db2, standbys: [db1]') as string,
      }),
    );
    for (const what of ['main primary: canary', 'main primary: archiving', 'physical backups of main'])
      expect(
        found.find((one) => one.what === what),
        what,
      ).toMatchObject({ result: expect.not.stringMatching('fail') as string });
  });

  test('an incident on it works, with the plan as it is', async () => {
    const config = join(lab.directory, 'app1', 'service.json');
    await lab.service('stop');
    const service = JSON.parse(readFileSync(config, 'utf8')) as { database: { port: number } };
    service.database.port = db2().port;
    writeFileSync(config, JSON.stringify(service));
    await lab.service('start');
    await declare(lab, { to: 'latest' });
    await untilQuestion(lab, 'approval');
    await ran(lab, ['abort', '--reason', 'not now', '--as', 'asha']);
    await ended(lab);
    expect(await serviceIsHealthy(lab), 'it was left closed').toBe(false);
    await ran(lab, ['abort', '--resume', '--as', 'asha']);
    expect(await serviceIsHealthy(lab), 'opened where it was closed, and not where the plan says').toBe(true);
    const { before } = await wrongData(db2());
    const good = await countOrders(db2());
    await declare(lab, { to: before.toISOString() });
    const asked = await untilQuestion(lab, 'approval');
    const warned = asked.warnings.join('\n');
    expect(warned).toMatch(
      /the plan is out of date: db2 is the primary of main, and not db1; this incident works on db2\./,
    );
    expect(warned, 'nobody could ask it').toMatch(
      /what db1 is, the primary of main by the plan, is not known \(.*\): if it takes writes still, stop its server at once/,
    );
    expect(asked.steps.find(({ name }) => name === 'Restore beside')?.host).toBe('db2');
    await ran(lab, ['approve', '--as', 'asha', '--reason', 'the damage is known']);
    const recovered = await untilPhase(lab, 'recovered');
    expect(recovered.steps.map(({ name }) => name)).not.toContain('Rebuild standby');
    expect(await countOrders(db2())).toBeGreaterThanOrEqual(good);
    expect(await timelineOf(db2())).toBe(3);
    await ran(lab, ['close', '--as', 'ben', '--reason', 'a test']).catch(() => undefined);
  });

  test('when the old primary is started again, nothing is taken from either until a person has parted them', async () => {
    await lab.primary.start();
    await lab.startAgents(['db1']);
    await refused(
      lab,
      ['backup', 'create', '--full'],
      2,
      /2 hosts claim to be the primary of main: db1 \(timeline 1.*db2 \(timeline 3/s,
    );
    const { code, stdout, stderr } = await lab.cli(['start', 'database-corruption', '--detach', '--as', 'ben']);
    expect(stdout + stderr).toMatch(/2 hosts claim to be the primary of main/);
    expect(code).not.toBe(0);
    expect(await contents(db2())).toBeTruthy();
  });
});
