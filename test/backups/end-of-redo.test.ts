import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyRestored } from '../../activities/recovery/verify-restored.js';
import { demandSpace } from '../../activities/recovery/check-request.js';
import { treeBytes } from '../../activities/files.js';
import { markClosing, removeClosings } from '../../activities/postgres/closing.js';
import { stopServer } from '../../activities/postgres/server.js';
import { walSegments } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst, countOrders } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { moment } from '../helpers/end-state.js';
import { type Host, hostOf, switchSegment } from '../helpers/host.js';

/**
 * A recovery ends where the WAL ends to it: what is damaged or missing there is looked for elsewhere, and what cannot
 * be had is said.
 */
describe('the end of a recovery', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let whole: number;
  /** The archived segment that is damaged, and the first of its bytes. */
  let segment: string;
  let offset: number;
  let before: number;
  let early: string;
  let late: string;

  beforeAll(async () => {
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 200, locations: 2 },
      plan: (plan) => Object.values(plan.locations).forEach((location) => delete location.encryption),
    });
    host = await hostOf(lab);
    await host.backup();
    await host.beat();
    await burst(lab.primary, 20);
    early = await moment(lab.primary);
    await host.beat();
    await lab.primary.sql(`CREATE TABLE padding AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 200) n`);
    before = await countOrders(lab.primary);
    const [row] = await lab.primary.sql<{ segment: string; offset: number }>(
      `SELECT file_name AS segment, file_offset AS "offset" FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())`,
    );
    segment = row!.segment;
    offset = Math.ceil(row!.offset / 8192) * 8192;
    await lab.primary.sql(`INSERT INTO padding SELECT repeat(md5(n::text), 30) FROM generate_series(1, 200) n`);
    await burst(lab.primary, 40);
    expect(await switchSegment(lab.primary)).toBe(segment);
    await burst(lab.primary, 40);
    await host.beat();
    late = await moment(lab.primary);
    await host.beat();
    const next = await switchSegment(lab.primary);
    await burst(lab.primary, 5);
    await host.beat();
    whole = await countOrders(lab.primary);
    for (const location of Object.values(lab.locations))
      await until('the WAL is archived', () => walSegments(location).some((file) => file.includes(next)));
  }, 900_000);
  afterAll(() => lab.stop());

  /** Eight bytes of a page's header in an archived segment: pgBackRest 2.45 hands that out with success. */
  const damage = (location: string) => {
    const file = walSegments(lab.locations[location]!).find((name) => name.includes(segment))!;
    const wal = execFileSync('zstd', ['-dc', file], { maxBuffer: 64 * 1024 * 1024 });
    wal.fill(0xa5, offset, offset + 8);
    writeFileSync(`${lab.directory}/damaged`, wal);
    writeFileSync(file, execFileSync('zstd', ['-c', `${lab.directory}/damaged`], { maxBuffer: 64 * 1024 * 1024 }));
  };
  const orders = async (incident: string) =>
    (await host.askCopy<{ n: number }>(incident, 'SELECT count(*)::int AS n FROM orders'))[0]!.n;
  const verify = (incident: string, target = 'latest') =>
    verifyRestored(host.context).execute({ database: 'main', incident, target, declaredAt: new Date().toISOString() });
  const end = (incident: string) => stopServer(host.cluster, host.scratch(incident).directory);
  const pgWal = () => join(lab.primary.dataDirectory, 'pg_wal', segment);

  const without = async (work: () => Promise<void>) => {
    const kept = readFileSync(pgWal());
    rmSync(pgWal());
    try {
      await work();
    } finally {
      writeFileSync(pgWal(), kept);
    }
  };

  test('a segment that one location hands out damaged is taken from the other one', async () => {
    damage('onsite');
    await without(async () => {
      expect((await host.restore('other-location')).short).toBeUndefined();
      expect(await orders('other-location')).toBe(whole);
      await end('other-location');
    });
  });

  test("one that is damaged at every location is taken from production's own pg_wal, although that was archived long ago", async () => {
    damage('offsite');
    expect((await host.restore('own-wal')).short).toBeUndefined();
    expect(await orders('own-wal')).toBe(whole);
    expect((await verify('own-wal')).doubts).toEqual([]);
    await host.restore('own-wal-to-a-time', late);
    expect(await orders('own-wal-to-a-time')).toBe(whole - 5);
    await end('own-wal-to-a-time');
  });

  test('where nobody has it whole, it is said before anybody approves: where the copy ends, and what is known to be missing', async () => {
    await without(async () => {
      const restored = await host.restore('nowhere');
      expect(await orders('nowhere')).toBe(before);
      expect(restored.short).toMatch(
        new RegExp(
          `^WAL segment ${segment} is damaged at [0-9A-F]+/[0-9A-F]+ \\(onsite, offsite\\): the copy ends at .*the canary knows of WAL up to`,
        ),
      );
      expect(await verify('nowhere')).toMatchObject({ doubts: [restored.short], missing: [restored.short] });
    });
  });

  test('the same for a database that an incident has closed: its restore point is beyond the hole, and the copy ends before it', async () => {
    await markClosing(host.cluster, 'closed-nowhere');
    await switchSegment(lab.primary);
    await without(async () => {
      const restored = await host.restore('closed-nowhere');
      expect(await orders('closed-nowhere')).toBe(before);
      expect(restored.short).toMatch(new RegExp(`^WAL segment ${segment} is damaged at `));
      await end('closed-nowhere');
    });
    await removeClosings(host.cluster);
  });

  test('a target behind the damage names the segment and not the backup; one before it is reached', async () => {
    await without(async () => {
      await expect(host.restore('behind', late)).rejects.toMatchObject({
        type: 'TargetUnreachable',
        message: expect.stringMatching(
          new RegExp(`WAL segment ${segment} is damaged at .*: replay ended at `),
        ) as string,
      });
      await end('behind');
      await host.restore('earlier', early);
      expect(await orders('earlier')).toBe(220);
      await end('earlier');
    });
  });

  test('a hole in the archive is none while production has that segment', async () => {
    const hole = walSegments(lab.locations['onsite']!).at(-1)!.split('/').at(-1)!.slice(0, 24);
    for (const location of Object.values(lab.locations))
      rmSync(walSegments(location).find((file) => file.includes(hole))!);
    await burst(lab.primary, 3);
    const next = await switchSegment(lab.primary);
    await until('the WAL behind the hole is archived', () =>
      walSegments(lab.locations['onsite']!).some((file) => file.includes(next)),
    );
    await host.restore('hole');
    expect(await orders('hole')).toBe(whole + 3);
    await end('hole');
  });

  test('a recovery to the latest stops at the point where its incident closed the database', async () => {
    await burst(lab.primary, 2);
    await markClosing(host.cluster, 'closed');
    const closedAt = await countOrders(lab.primary);
    await burst(lab.primary, 9);
    await switchSegment(lab.primary);
    const restored = await host.restore('closed');
    expect(restored.short).toBeUndefined();
    expect(await orders('closed')).toBe(closedAt);
    await end('closed');
    await removeClosings(host.cluster);
    // The canary knows of a commit behind it: somebody wrote through the fence.
    await markClosing(host.cluster, 'written-behind');
    await host.beat();
    expect((await host.restore('written-behind')).short).toMatch(
      /^the copy ends at .*, and the canary knows of WAL up to /,
    );
    await end('written-behind');
  });

  test('room is made for what the database is now, and not for what it was when it was backed up', async () => {
    const [candidate] = await host.candidates();
    const today = (await treeBytes(lab.primary.dataDirectory)) * 1.1;
    expect(candidate!.databaseBytes * 1.1).toBeLessThan(today);
    const said = await demandSpace(host.cluster, lab.primary.dataDirectory, candidate!.databaseBytes);
    const needed = Number(/^([\d.]+) (?:MB|MiB) needed/.exec(said)?.[1]);
    expect(needed * 1e6).toBeGreaterThan(today);
  });
});
