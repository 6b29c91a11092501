import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupParts, damageBackup, removeWalSegment, walSegments } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { canaryBeats, contents, moment, quietMoment, serviceIsHealthy } from '../helpers/end-state.js';
import { declare, ended, endLab, lifeboatOf, ran, refused, untilPhase, untilQuestion } from '../helpers/incident.js';
import { switchSegment } from '../helpers/host.js';
import { changesNothing } from '../helpers/unchanged.js';

/**
 * Requests that cannot be honoured: each is refused before anything is stopped, in words, with its exit code, and
 * nothing is changed.
 */
describe('a request that cannot work', { timeout: 900_000 }, () => {
  let lab: Lab;
  const start = (...args: string[]) => ['start', 'database-corruption', '--as', 'ben', ...args];
  const isRefused = (args: string[], code: number, says: RegExp) =>
    changesNothing(lab, () => refused(lab, args, code, says));

  beforeAll(async () => {
    lab = await createLab({ fast: true, locations: 2 });
    await Promise.all([lab.startControl(), lab.startAgents()]);
    await until('archiving is set up', async () => {
      const [row] = await lab.primary.sql<{ command: string }>(`SELECT current_setting('archive_command') AS command`);
      return row!.command.includes('archive-push');
    });
    await canaryBeats(lab.primary);
  }, 900_000);
  afterAll(() => endLab(lab));

  test('without any backup', async () => {
    const { stderr } = await isRefused(
      start(),
      3,
      /Refused, and nothing was changed: (there is no backup of main at any location|no backup of main can reach latest)/,
    );
    expect(stderr, 'what to do next').toMatch(/→ .*lifeboat backup list/);
    await ran(lab, ['backup', 'create', '--full']);
  });

  test('of a database that the plan does not have', async () => {
    const { stderr } = await isRefused(start('--database', 'nope'), 2, /The plan has no database "nope"/);
    expect(stderr).toContain('--database main');
  });

  test("of a database that only the caller's plan has: the control worker refuses it", async () => {
    const { declared } = await changesNothing(lab, async () =>
      (await lifeboatOf(lab)).declare('database-corruption', { database: 'nope', declaredBy: 'ben', mode: 'real' }),
    );
    expect(declared).toMatchObject({
      answer: 'refused',
      problem: { type: 'BadRequest', message: 'the plan has no database "nope"; it has main' },
    });
  });

  test('of a scenario that there is not', async () => {
    await isRefused(['start', 'alien-invasion'], 2, /There is no scenario "alien-invasion"[^]*database-corruption/);
  });

  test.each([
    ['tomorrow', /"tomorrow" is not a target/],
    ['2026-02-30T03:15:00Z', /is not a moment of the calendar/],
    ['2026-11-21T03:15:00', /has no offset from UTC[^]*2026-11-21T03:15:00Z/],
    ['2999-01-01T00:00:00Z', /is in the future/],
  ])('to %s', async (target, says) => {
    await isRefused(start('--to', target), 2, says);
  });

  test('to a moment before the oldest backup', async () => {
    await isRefused(
      start('--to', '2020-01-01T00:00:00Z'),
      3,
      /no backup of main can reach 2020-01-01 00:00:00 UTC[^]*it ended after the target/,
    );
  });

  test('to a backup that there is not', async () => {
    await isRefused(start('--to', '20200101-000000F'), 3, /no backup of main can reach backup 20200101-000000F/);
  });

  test('to an LSN that was never written', async () => {
    await isRefused(
      start('--to', 'FF/0'),
      3,
      /the target LSN FF\/0 is after everything that main has written: it is at 0\//,
    );
  });

  test('field note 3: to a moment after the last commit, which PostgreSQL would refuse only at the end of the restore', async () => {
    // The canary keeps commits coming: hold it for as long as this takes.
    const holder = new pg.Client({
      ...lab.primary.appConnection(),
      user: 'postgres',
      password: lab.primary.passwords.superuser,
    });
    await holder.connect();
    await holder.query('BEGIN; SELECT * FROM lifeboat.canary FOR UPDATE');
    const target = await until('a moment without a commit', async () => {
      const [row] = await lab.primary.sql<{ quiet: boolean }>(
        `SELECT clock_timestamp() - ts > interval '2.5 s' AS quiet FROM lifeboat.canary`,
      );
      return row!.quiet ? moment(lab.primary) : undefined;
    });
    try {
      await refused(lab, start('--to', target), 3, /is after the last commit of main, at 20/);
    } finally {
      await holder.end();
    }
    await canaryBeats(lab.primary);
    expect(await serviceIsHealthy(lab)).toBe(true);
  });

  describe('field note 5: the WAL has a gap', () => {
    const moments: string[] = [];
    beforeAll(async () => {
      for (let n = 0; n < 3; n += 1) {
        await burst(lab.primary, 3);
        moments.push(await quietMoment(lab.primary));
        const segment = await switchSegment(lab.primary);
        await until(`${segment} is archived`, () =>
          Object.values(lab.locations).every((location) =>
            walSegments(location).some((file) => file.includes(segment)),
          ),
        );
      }
      for (const location of Object.values(lab.locations)) {
        const gone = removeWalSegment(location, -2).split('/').at(-1)!.slice(0, 24);
        // Nor has production it any more: it would be taken from there.
        rmSync(join(lab.primary.dataDirectory, 'pg_wal', gone), { force: true });
      }
    });

    test('to a moment behind the gap', async () => {
      await isRefused(start('--to', moments[2]!), 3, /has a gap: [0-9A-F]{24} is missing/);
    });
    test('to the latest: recovery would end in the gap, and nobody would be told', async () => {
      await isRefused(start(), 3, /has a gap: [0-9A-F]{24} is missing, and recovery would end there in silence/);
    });
    test('a moment before the gap is well, shown by a dry run that changes nothing', async () => {
      const { stdout } = await changesNothing(lab, async () => {
        const result = await lab.cli(start('--to', moments[0]!, '--dry-run'));
        expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
        return result;
      });
      expect(stdout).toContain('nothing of production is changed');
    });
  });

  test('no healthy backup anywhere: every one is tried and named, then a person is asked; the database stays as it was', async () => {
    await ran(lab, ['backup', 'create', '--full']);
    const target = await quietMoment(lab.primary);
    const good = await contents(lab.primary);
    // The manifest and its copy: a damaged file of the data itself is read by pgBackRest three times, 15 s apart,
    // before it gives up.
    for (const location of Object.values(lab.locations)) damageBackup(location, 'truncate', backupParts.manifest, 1, 4);
    await declare(lab, { to: target });
    const asked = await untilQuestion(lab, 'decision', 'Restore beside');
    expect(asked.question.problem).toMatchObject({ type: 'BackupDamaged' });
    expect(asked.warnings.join('\n')).toMatch(/F at onsite was not used[^]*F at offsite was not used/);
    const watched = await lab.cli(['watch', '--once']);
    expect(watched.code, 'a person must decide').toBe(4);
    expect(watched.stdout).toMatch(/decide restore --to/);
    await ran(lab, ['abort', '--as', 'asha', '--reason', 'no backup is healthy', '--resume']);
    await untilPhase(lab, 'aborted');
    await ended(lab);
    const { code, stdout } = await lab.cli(['watch']);
    expect({ code, says: /aborted/i.test(stdout) }, stdout).toEqual({ code: 5, says: true });
    expect(await serviceIsHealthy(lab)).toBe(true);
    expect(await contents(lab.primary), 'every row is still there').toBe(good);
  });

  test('with no readable list of backups at any location', async () => {
    for (const location of Object.values(lab.locations)) damageBackup(location, 'delete', backupParts.info, 1, 4);
    await isRefused(start(), 3, /no backup of main can reach latest/);
  });
});
