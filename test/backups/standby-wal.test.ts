import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handOverWal, lookAtWal, type StandbyWal } from '../../activities/backups/standby-wal.js';
import { listCandidates } from '../../activities/recovery/list-candidates.js';
import { restoreBeside } from '../../activities/recovery/restore-beside.js';
import { stopServer } from '../../activities/postgres/server.js';
import { walSegments } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst, countOrders } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf, switchSegment } from '../helpers/host.js';
import { filesBelow } from '../helpers/locations.js';

/** Issue 7, B1: a segment that the archive and the primary have lost, and a standby has. */
describe('WAL that only a standby has', { timeout: 300_000 }, () => {
  let lab: Lab;
  let primary: Host;
  let standby: Host;
  let segment: string;
  let whole: number;
  let has: StandbyWal[];

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200, locations: 2, standby: true });
    standby = await hostOf(lab, 'db2');
    primary = await hostOf(lab);
    await primary.backup();
    await primary.beat();
    await burst(lab.primary, 30);
    segment = await switchSegment(lab.primary);
    await burst(lab.primary, 30);
    await primary.beat();
    const next = await switchSegment(lab.primary);
    await primary.beat();
    whole = await countOrders(lab.primary);
    const [now] = await lab.primary.sql<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    await until('the standby has it all', async () => {
      const [row] = await lab.standby!.sql<{ there: boolean }>(
        `SELECT pg_last_wal_replay_lsn() >= '${now!.lsn}' AS there`,
      );
      return row!.there;
    });
    for (const location of Object.values(lab.locations)) {
      await until('the WAL is archived', () => walSegments(location).some((file) => file.includes(next)));
      rmSync(walSegments(location).find((file) => file.includes(segment))!);
    }
    rmSync(join(lab.primary.dataDirectory, 'pg_wal', segment));
    ({ has } = await lookAtWal(standby.context).execute({ database: 'main', incident: 'looking' }));
  }, 300_000);
  afterAll(() => lab.stop());

  const restore = async (
    incident: string,
    more: { handed?: Awaited<ReturnType<typeof handOver>>; asked?: string[] } = {},
  ) => {
    const { candidates } = await listCandidates(primary.context).execute({
      database: 'main',
      target: 'latest',
      standbys: has,
    });
    const of = { database: 'main', incident, target: 'latest', candidate: candidates[0]! };
    return restoreBeside(primary.context).execute({
      ...of,
      standbys: { has, not: [] },
      handed: [],
      asked: [],
      ...more,
    });
  };
  const handOver = async (incident: string, segments: string[]) =>
    (await handOverWal(standby.context).execute({ database: 'main', incident, segments })).handed;
  const orders = async (incident: string) =>
    (await primary.askCopy<{ n: number }>(incident, 'SELECT count(*)::int AS n FROM orders'))[0]!.n;
  const end = (incident: string) => stopServer(primary.cluster, primary.scratch(incident).directory);
  const lying = () =>
    Object.values(lab.locations)
      .map((location) => join(location, 'lifeboat', lab.system, 'wal'))
      .filter((folder) => existsSync(folder))
      .flatMap(filesBelow);

  test('it says up to where it has WAL; without it no backup reaches the latest', async () => {
    expect(has).toMatchObject([{ host: 'db2', timeline: 1, lsn: expect.stringMatching(/^\d+\/[0-9A-F]+$/) as string }]);
    await expect(listCandidates(primary.context).execute({ database: 'main', target: 'latest' })).rejects.toMatchObject(
      {
        type: 'NoBackup',
      },
    );
  });

  test('it is handed over by the locations, encrypted as they are, and every acknowledged row is there; nothing of it stays behind', async () => {
    const { wants } = await restore('handed');
    expect(wants).toContain(segment);
    const handed = await handOver('handed', wants!);
    expect(handed.map(({ location }) => location).sort()).toEqual(['offsite', 'onsite']);
    for (const file of lying()) expect(readFileSync(file).subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    // An attempt that was killed after it had handed everything over.
    expect(await handOver('handed', wants!)).toEqual(handed);
    const restored = await restore('handed', { handed, asked: wants! });
    expect(restored).not.toHaveProperty('wants');
    expect(restored.short).toBeUndefined();
    expect(await orders('handed')).toBe(whole);
    expect(lying()).toEqual([]);
    await end('handed');
  });

  test('what was changed on its way is not used, and the copy says before the approval what is missing and why', async () => {
    const { wants } = await restore('changed');
    const handed = await handOver('changed', wants!);
    for (const file of lying()) {
      const bytes = readFileSync(file);
      bytes.fill(0xa5, bytes.length - 100, bytes.length - 50);
      writeFileSync(file, bytes);
    }
    const restored = await restore('changed', { handed, asked: wants! });
    expect(restored.short).toMatch(
      new RegExp(`WAL segment ${segment} is missing: .*not asked: ${segment} of standby db2 \\(offsite: `),
    );
    expect(await orders('changed')).toBeLessThan(whole);
    await end('changed');
  });

  test('a name that is no segment is not looked for', async () => {
    expect(await handOver('named', ['../postgresql.conf', '000000010000000000000099'])).toEqual([]);
  });
});
