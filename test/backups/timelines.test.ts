import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { engineOf } from '../../activities/backups/engines.js';
import { physical } from '../../activities/backups/physical.js';
import { hostFacts } from '../../activities/doctor/host-facts.js';
import { assess } from '../../activities/recovery/assess.js';
import { protect } from '../../activities/backups/protect.js';
import { openDatabase, release } from '../../activities/postgres/open.js';
import { putBack, putInPlace } from '../../activities/recovery/put-in-place.js';
import { stopServer } from '../../activities/postgres/server.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { verifyRestored } from '../../activities/recovery/verify-restored.js';
import { walSegments } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst, countOrders } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf, switchSegment } from '../helpers/host.js';

const database = 'main';
const now = () => new Date().toISOString();
const archived = (lab: Lab, segment: string) =>
  until(`${segment} is archived`, () => walSegments(lab.locations['onsite']!).some((file) => file.includes(segment)));

/**
 * A restored copy served for a while, and was given up: production is on its old timeline again, and the archive has a
 * newer one that is nobody's.
 */
describe('after a roll-back', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  /** Of timeline 1, and of the copy that was given up. */
  let first: string;
  let abandoned: string;
  const incident = 'rolled-back';
  const lastKnown = () => join(host.context.state, 'last-known-main.json');
  const leads = async () =>
    (await hostFacts(host.context).execute({})).checks.find(({ what }) => what.endsWith('backups lead to now'))!;
  const orders = async (of: string) =>
    (await host.askCopy<{ n: number }>(of, 'SELECT count(*)::int AS n FROM orders'))[0]!.n;

  beforeAll(async () => {
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 200 },
      plan: (plan) => void (plan.databases['main']!.backups.physical!.keep = { full: 1 }),
    });
    host = await hostOf(lab);
    first = await host.backup();
    await host.beat();
    await burst(lab.primary, 5);
    await stopWrites(host.context).execute({ database, incident });
    await host.restore(incident);
    await verifyRestored(host.context).execute({ database, incident, target: 'latest', declaredAt: now() });
    await putInPlace(host.context).execute({ database, incident });
    await openDatabase(host.context).execute({ database, incident });
    await burst(lab.primary, 3);
    const taken = await backupPhysical(host.context).execute({
      component: database,
      type: 'full',
      run: 'of the copy',
      incident,
    });
    abandoned = taken.id;
    await archived(lab, await switchSegment(lab.primary));
    await stopWrites(host.context).execute({ database, incident });
    await putBack(host.context).execute({ database, incident });
    await openDatabase(host.context).execute({ database, incident });
    await release(host.context).execute({ database, incident });
    await burst(lab.primary, 40);
    await host.beat();
    await archived(lab, await switchSegment(lab.primary));
    await burst(lab.primary, 7);
    await host.beat();
  }, 900_000);
  afterAll(() => lab.stop());

  test('nothing expires while the newest backup is of the copy that was given up', async () => {
    expect(JSON.parse(readFileSync(lastKnown(), 'utf8'))).toMatchObject({ timeline: 1 });
    expect((await host.candidates()).map(({ label }) => label)).toEqual([first]);
    expect(await physical.expirable!(host.context, database, [])).toEqual([]);
    expect(await leads()).toMatchObject({ result: 'pass', says: `${first} at onsite leads to now` });
  });

  test('the next incremental backup is a full one, and says so; then doctor is content again, and what is old goes', async () => {
    await engineOf(host.cluster).remove(host.cluster, 'onsite', [first]);
    expect(await leads()).toMatchObject({ result: 'fail', hint: 'Take one: lifeboat backup create --full' });
    const taken = await backupPhysical(host.context).execute({
      component: database,
      type: 'incremental',
      run: 'after it',
    });
    expect(taken).toMatchObject({ type: 'full', failed: [] });
    expect(taken.summary).toMatch(
      /full and not incremental: the newest one there is on timeline 2, and the database on 1/,
    );
    expect(await leads()).toMatchObject({ result: 'pass', says: `${taken.id} at onsite leads to now` });
    const { backups } = await physical.list(host.context, database);
    expect(
      backups.map(({ id }) => id),
      `${abandoned} went`,
    ).toEqual([taken.id]);
    await burst(lab.primary, 4);
    await host.beat();
    await host.restore('from-the-new-one');
    expect(await orders('from-the-new-one')).toBe(await countOrders(lab.primary));
    await stopServer(host.cluster, host.scratch('from-the-new-one').directory);
  });

  test('a control file that is damaged then does not lead to the timeline that was given up', async () => {
    await burst(lab.primary, 30);
    await host.beat();
    const whole = await countOrders(lab.primary);
    await lab.primary.stop('immediate');
    writeFileSync(join(lab.primary.dataDirectory, 'global', 'pg_control'), Buffer.alloc(8192, 0xa5));
    const [candidate] = await host.candidates();
    expect(candidate).toMatchObject({ timeline: 1 });
    await host.restore('no-control');
    expect(await orders('no-control')).toBe(whole);
    await stopServer(host.cluster, host.scratch('no-control').directory);
  });

  test('where two timelines are possible, a person chooses with the figures of both', async () => {
    const known = JSON.parse(readFileSync(lastKnown(), 'utf8')) as object;
    writeFileSync(lastKnown(), JSON.stringify({ ...known, timeline: 2 }));
    await expect(host.candidates()).rejects.toMatchObject({
      type: 'BadRequest',
      message: expect.stringContaining('any of the timelines 1, 2') as string,
      details: [
        {
          hint: expect.stringMatching(
            /--to timeline:1 \(archived up to 00000001.*, or --to timeline:2 \(.*00000002.*its canary beat at 20/,
          ) as string,
        },
      ],
    });
    expect((await host.candidates('timeline:1'))[0]).toMatchObject({ timeline: 1 });
    rmSync(lastKnown());
    expect((await host.candidates())[0], 'its own pg_wal says it').toMatchObject({ timeline: 1 });
  });
});

/** A server that is started after a crash replays as far as it can read, opens, and no page tells what is gone. */
describe('a server that came up with less than it had', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let whole: number;
  const incident = 'set-back';

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200 });
    host = await hostOf(lab);
    await host.backup();
    await host.beat();
    await lab.primary.sql('CHECKPOINT');
    await lab.primary.sql(`CREATE TABLE padding AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 200) n`);
    const [at] = await lab.primary.sql<{ segment: string; offset: number }>(
      `SELECT file_name AS segment, file_offset AS "offset" FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())`,
    );
    await lab.primary.sql(`INSERT INTO padding SELECT repeat(md5(n::text), 30) FROM generate_series(1, 200) n`);
    await burst(lab.primary, 40);
    await archived(lab, await switchSegment(lab.primary));
    await burst(lab.primary, 80);
    await host.beat();
    whole = await countOrders(lab.primary);
    await lab.primary.kill9();
    const file = openSync(join(lab.primary.dataDirectory, 'pg_wal', at!.segment), 'r+');
    writeSync(file, Buffer.alloc(8, 0xa5), 0, 8, Math.ceil(at!.offset / 8192) * 8192);
    closeSync(file);
    await lab.primary.start();
    expect(await countOrders(lab.primary)).toBe(200);
  }, 900_000);
  afterAll(() => lab.stop());

  const gone =
    /^not repairable: the server came up with less than it had: it went on from about .*, and had committed up to /;

  test('is damaged, and what is known to be gone is said; also when its canary beats again', async () => {
    expect((await assess(host.context).execute({ database, incident, round: 1 })).summary).toMatch(gone);
    for (let n = 0; n < 3; n += 1) await host.beat();
    const found = await assess(host.context).execute({ database, incident, round: 2 });
    expect(found.summary).toMatch(gone);
    expect(found.findings.join('\n')).toMatch(/the archive has [0-9A-F]{24} of its timeline, whole/);
    const { checks } = await hostFacts(host.context).execute({});
    expect(checks.find(({ what }) => what.endsWith('nothing was set back'))).toMatchObject({ result: 'fail' });
  });

  test('cannot be protected as it stands, and that is said at once', async () => {
    await expect(protect(host.context).execute({ database, incident })).rejects.toMatchObject({
      type: 'BadRequest',
      message: expect.stringMatching(
        /is archived already, whole: the database came up with less than it had/,
      ) as string,
    });
  });

  test('is restored to the latest with all that it had', async () => {
    const restored = await host.restore(incident);
    expect(restored.short).toBeUndefined();
    expect((await host.askCopy<{ n: number }>(incident, 'SELECT count(*)::int AS n FROM orders'))[0]!.n).toBe(whole);
    await stopServer(host.cluster, host.scratch(incident).directory);
  });
});
