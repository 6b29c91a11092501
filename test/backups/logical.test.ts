import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { logical } from '../../activities/backups/logical/provider.js';
import { claim, releaseClaim } from '../../activities/postgres/claim.js';
import { clusterOf } from '../../activities/postgres/cluster.js';
import { withLocation } from '../../activities/locations/open.js';
import { Readable } from 'node:stream';
import { until } from '../../lab/wait.js';
import { contextOf, createDumps, type Dumps, keptAt, namesOf, tamper } from '../helpers/dumps.js';
import type { BackupRecord } from '../../vocabulary/backup.js';

let dumps: Dumps;
beforeAll(async () => {
  dumps = await createDumps((plan) => {
    plan.hosts['other'] = { region: 'elsewhere' };
    plan.locations['plain'] = { directory: join(Object.values(plan.locations)[0]!.directory!, '..', 'plain') };
    mkdirSync(plan.locations['plain'].directory!);
  });
}, 900_000);
afterAll(() => dumps.lab.stop());

const names = async (): Promise<string[]> =>
  (await dumps.lab.primary.sql<{ datname: string }>('select datname from pg_database order by 1', [], 'postgres')).map(
    ({ datname }) => datname,
  );
const count = async (database: string): Promise<number> =>
  Number((await dumps.lab.primary.sql<{ n: string }>('select count(*) as n from orders', [], database))[0]!.n);
const dropCopies = async (): Promise<void> => {
  for (const name of (await names()).filter((one) => /^(copy|shop_before)/.test(one)))
    await dumps.lab.primary.sql(`drop database "${name}" with (force)`, [], 'postgres');
};
const at = async (id: string): Promise<BackupRecord[]> =>
  (await logical.list(dumps.context, 'main')).backups.filter((record) => record.id === id);

describe('a dump', () => {
  test('is at every location, encrypted where the plan says so, read back, with its rows; the run takes it once', async () => {
    const taken = await dumps.take('main', 'once');
    expect(taken).toMatchObject({
      type: 'logical',
      component: 'main',
      locations: ['onsite', 'offsite', 'plain'],
      failed: [],
    });
    const records = await at(taken.id);
    expect(records.map(({ location, encryption }) => `${location} ${encryption}`)).toEqual([
      'onsite age',
      'offsite age',
      'plain none',
    ]);
    expect(new Set(records.map(({ files }) => files[0]!.sha256)).size, 'each has a key of its own').toBe(3);
    for (const record of records)
      expect(record).toMatchObject({
        database: 'shop',
        compression: 'zstd',
        rows: { customers: 100, orders: 1000 },
        run: 'once',
      });
    expect(records.every(({ verified }) => verified)).toBe(true);
    for (const location of ['onsite', 'offsite', 'plain'])
      expect((await keptAt(dumps.context, location)).filter((n) => n.startsWith(taken.id))).toHaveLength(3);
    expect((await dumps.take('main', 'once')).id).toBe(taken.id);
    expect((await at(taken.id)).length).toBe(3);
  });

  test('that a killed attempt brought to one location is copied to the others under the same name', async () => {
    const taken = await dumps.take('main', 'copied');
    const { dump, record } = namesOf(dumps.context, taken.id);
    await tamper(dumps.context, 'offsite', record, () => undefined);
    await tamper(dumps.context, 'offsite', dump, (data) => data.subarray(0, 100));
    await tamper(dumps.context, 'plain', namesOf(dumps.context, taken.id).record, () => undefined);
    expect(await dumps.take('main', 'copied')).toMatchObject({
      id: taken.id,
      locations: ['onsite', 'offsite', 'plain'],
      failed: [],
    });
    expect(await logical.verify(dumps.context).execute({ component: 'main', id: taken.id })).toMatchObject({
      sound: 3,
      damaged: [],
      failed: [],
    });
  });

  test('two at once are taken one after the other', async () => {
    const [one, other] = await Promise.all([dumps.take(), dumps.take()]);
    expect(one.id).not.toBe(other.id);
    for (const { id } of [one, other]) expect(await at(id)).toHaveLength(3);
  });

  test('is not taken and not restored while an incident holds the database, unless it is the one that asks', async () => {
    const cluster = clusterOf(dumps.context, 'main');
    const before = await dumps.take();
    await claim(cluster, 'incident-1');
    try {
      await expect(dumps.take()).rejects.toThrow(/no dump is taken of main while incident incident-1 is open/);
      await expect(dumps.restore({ id: before.id, into: 'copy' })).rejects.toThrow(/while incident incident-1 is open/);
      const asked = await logical
        .take(dumps.context)
        .execute({ component: 'main', type: 'logical', run: 'asked', incident: 'incident-1' });
      expect(asked.failed).toEqual([]);
    } finally {
      await releaseClaim(cluster, 'incident-1');
    }
  });

  test('clears away what dead runs left, and nothing else', async () => {
    const kept = await dumps.take();
    const orphan = namesOf(dumps.context, '20200101T000000Z').dump;
    const foreign = `lifeboat/${dumps.context.plan.system}/logical/main/notes.txt`;
    const unfinished = join(dumps.lab.locations['onsite']!, `lifeboat/${dumps.context.plan.system}/logical/main/`);
    await withLocation(dumps.context, 'onsite', async (location) => {
      await location.put(orphan, Readable.from([Buffer.from('half')]));
      await location.put(foreign, Readable.from([Buffer.from('a note')]));
    });
    mkdirSync(unfinished, { recursive: true });
    await dumps.take();
    const left = await keptAt(dumps.context, 'onsite');
    expect(left).toContain('notes.txt');
    expect(left.filter((name) => name.startsWith('2020'))).toEqual([]);
    expect(left).toContain(`${kept.id}.meta.json`);
    await withLocation(dumps.context, 'onsite', (location) => location.remove(foreign));
  });

  test('is removed record first, and removing it twice is fine', async () => {
    const taken = await dumps.take();
    for (let times = 0; times < 2; times += 1) await logical.remove(dumps.context, 'main', 'plain', [taken.id]);
    expect((await keptAt(dumps.context, 'plain')).filter((name) => name.startsWith(taken.id))).toEqual([]);
    expect((await at(taken.id)).map(({ location }) => location)).toEqual(['onsite', 'offsite']);
  });
});

describe('nothing half-done is kept', () => {
  const before = new Map<string, string[]>();
  beforeEach(async () => {
    for (const location of ['onsite', 'offsite', 'plain']) before.set(location, await keptAt(dumps.context, location));
  });
  const unchanged = async () => {
    for (const [location, list] of before) expect(await keptAt(dumps.context, location), location).toEqual(list);
  };

  test('when pg_dump cannot read a table in the middle of it', async () => {
    const { primary } = dumps.lab;
    // What is read later than a hundred thousand other rows.
    await primary.sql(`create table aaa as select g, repeat(md5(g::text), 10) from generate_series(1, 100000) g`);
    await primary.sql(`create table zzz (i int)`);
    await primary.sql(`insert into zzz select generate_series(1, 100000)`);
    await primary.sql('checkpoint');
    const [file] = await primary.sql<{ path: string }>(`select pg_relation_filepath('zzz') as path`);
    await primary.stop();
    const { openSync, writeSync, closeSync } = await import('node:fs');
    const handle = openSync(join(primary.dataDirectory, file!.path), 'r+');
    writeSync(handle, Buffer.alloc(4096, 0xab), 0, 4096, 8192 * 20 + 2048);
    closeSync(handle);
    await primary.start();
    await expect(dumps.take()).rejects.toThrow(/pg_dump ended with code 1: .*invalid page/);
    await unchanged();
    await primary.sql('drop table aaa, zzz');
  });

  test('when its session is ended in the middle of it', async () => {
    const { primary } = dumps.lab;
    const holder = new pg.Client(primary.appConnection());
    await holder.connect();
    try {
      // It waits for a lock, so that it is in its middle for as long as the test needs.
      await holder.query('begin; lock table orders in access exclusive mode');
      const taking = dumps.take();
      taking.catch(() => undefined);
      await until('pg_dump to wait', async () => {
        const ended = await primary.sql(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_dump' and wait_event_type = 'Lock'`,
          [],
          'postgres',
        );
        return ended.length > 0;
      });
      await expect(taking).rejects.toThrow(/pg_dump ended with code 1: .*(terminat|connection)/);
    } finally {
      await holder.end();
    }
    await unchanged();
  });

  test('when the database does not answer', async () => {
    await dumps.lab.primary.stop();
    try {
      await expect(dumps.take()).rejects.toMatchObject({ type: 'ServerFailed' });
    } finally {
      await dumps.lab.primary.start();
    }
    await unchanged();
  });
});

test('a location that fails is named, and the others go on; the next attempt of the run brings it there', async () => {
  const directory = dumps.lab.locations['offsite']!;
  const { renameSync } = await import('node:fs');
  renameSync(directory, `${directory}.away`);
  writeFileSync(directory, 'no directory');
  let taken;
  try {
    taken = await dumps.take('main', 'one away');
    expect(taken.locations).toEqual(['onsite', 'plain']);
    expect(taken.failed).toEqual([expect.stringMatching(/^offsite: /)]);
    expect(Object.keys((await logical.list(dumps.context, 'main')).unreadable)).toEqual(['offsite']);
  } finally {
    rmSync(directory);
    renameSync(`${directory}.away`, directory);
  }
  expect(await dumps.take('main', 'one away')).toMatchObject({
    id: taken.id,
    locations: ['onsite', 'plain', 'offsite'],
    failed: [],
  });
});

describe('damage is found, and its file is named:', () => {
  const damages: [string, (data: Buffer) => Buffer | undefined, RegExp][] = [
    ['a flipped byte', (data) => (data.set([data[data.length >> 1]! ^ 1], data.length >> 1), data), /damaged|digest/],
    ['a truncated file', (data) => data.subarray(0, data.length - 10), /damaged|bytes/],
    ['an empty file', () => Buffer.alloc(0), /damaged|bytes/],
    ['a deleted file', () => undefined, /nothing|missing|not there|no file|is not/],
  ];
  test.each(damages)('%s', async (_name, change, why) => {
    const taken = await dumps.take();
    for (const [location, which] of [
      ['onsite', 'dump'],
      ['offsite', 'globals'],
    ] as const)
      await tamper(dumps.context, location, namesOf(dumps.context, taken.id)[which], change);
    const result = await logical.verify(dumps.context).execute({ component: 'main', id: taken.id });
    expect(result).toMatchObject({ sound: 1, failed: [] });
    expect(result.damaged.map(({ location, file }) => `${location} ${file}`)).toEqual([
      `onsite ${namesOf(dumps.context, taken.id).dump}`,
      `offsite ${namesOf(dumps.context, taken.id).globals}`,
    ]);
    for (const each of result.damaged) expect(each.why).toMatch(why);
    expect((await at(taken.id)).map(({ damaged }) => damaged !== undefined)).toEqual([true, true, false]);
    const restored = await dumps.restore({ id: taken.id, into: 'copy' });
    expect(restored.into).toBe('copy');
    await dropCopies();
    await expect(dumps.restore({ id: taken.id, into: 'copy', location: 'onsite' })).rejects.toMatchObject({
      type: 'BackupDamaged',
    });
    expect(await names()).not.toContain('copy');
  });

  test('two records that were swapped', async () => {
    const [one, other] = [await dumps.take(), await dumps.take()];
    const [first, second] = [namesOf(dumps.context, one.id).record, namesOf(dumps.context, other.id).record];
    let kept: Buffer | undefined;
    await tamper(dumps.context, 'onsite', first, (data) => (kept = data));
    let its: Buffer | undefined;
    await tamper(dumps.context, 'onsite', second, (data) => ((its = data), kept));
    await tamper(dumps.context, 'onsite', first, () => its);
    const result = await logical.verify(dumps.context).execute({ component: 'main', location: 'onsite' });
    expect(
      result.damaged
        .map(({ file }) => file)
        .filter((file) => [first, second].includes(file))
        .sort(),
    ).toEqual([first, second].sort());
    expect((await dumps.restore({ id: other.id, into: 'copy' })).summary, 'another location is taken').toContain(
      'was restored into copy',
    );
    await dropCopies();
    await logical.remove(dumps.context, 'main', 'onsite', [one.id, other.id]);
  });

  test('damage that nobody has noticed yet: the restore takes the next location and says so', async () => {
    const taken = await dumps.take();
    await tamper(dumps.context, 'onsite', namesOf(dumps.context, taken.id).dump, (data) => data.subarray(0, 2000));
    const { summary } = await dumps.restore({ id: taken.id, into: 'copy' });
    expect(summary).toMatch(/NOT from onsite: .*database\.dump\.zst\.age/);
    expect((await at(taken.id))[0]!.damaged).toBeDefined();
    await dropCopies();
  });
});

describe('a restore', () => {
  let id: string;
  beforeAll(async () => {
    id = (await dumps.take()).id;
  });
  beforeEach(dropCopies);

  test('into a new name is a database of its own; one that is there is refused', async () => {
    const { into, summary } = await dumps.restore({ id, into: 'copy', run: 'into' });
    expect({ into, summary }).toEqual({ into: 'copy', summary: `${id} was restored into copy` });
    expect(await count('copy')).toBe(await count('shop'));
    expect((await dumps.restore({ id, into: 'copy', run: 'into' })).into, 'the same run has done it').toBe('copy');
    await expect(dumps.restore({ id, into: 'copy' })).rejects.toThrow(/there is a database copy already/);
    await expect(dumps.restore({ id })).rejects.toMatchObject({ type: 'BadRequest' });
    await expect(dumps.restore({ id, into: 'x', dropExisting: true })).rejects.toMatchObject({ type: 'BadRequest' });
    await expect(dumps.restore({ id: '20200101T000000Z', into: 'x' })).rejects.toMatchObject({ type: 'NoBackup' });
  });

  test('in place of the old one renames it aside, with sessions open; done twice it is done once', async () => {
    const { primary } = dumps.lab;
    await primary.sql(`alter database shop set work_mem = '8MB'`);
    await primary.sql(`revoke connect on database shop from public`);
    await primary.sql(`grant connect on database shop to app`);
    const dressed = (await dumps.take()).id;
    await primary.sql(`delete from payments`);
    await primary.sql(`delete from orders where id > 10`);
    const busy = setInterval(() => void primary.asApp('select pg_sleep(30)').catch(() => undefined), 100);
    let done;
    try {
      done = await dumps.restore({ id: dressed, dropExisting: true, run: 'replace' });
    } finally {
      clearInterval(busy);
    }
    expect(done).toMatchObject({ into: 'shop', aside: expect.stringMatching(/^shop_before_\d{8}T\d{6}Z$/) as string });
    expect([await count('shop'), await count(done.aside!)]).toEqual([1000, 10]);
    expect(await dumps.restore({ id: dressed, dropExisting: true, run: 'replace' })).toMatchObject({
      into: 'shop',
      aside: done.aside,
    });
    const facts = await primary.sql<{ acl: string; owner: string }>(
      `select datacl::text as acl, pg_get_userbyid(datdba) as owner from pg_database where datname = 'shop'`,
    );
    expect(facts[0]).toMatchObject({ owner: 'app' });
    expect(facts[0]!.acl).not.toMatch(/[{,]=[^,]*c/);
    expect((await primary.asApp<{ work_mem: string }>('show work_mem'))[0]!.work_mem).toBe('8MB');
    await primary.sql('grant connect on database shop to public');
  });

  test('that is not what the dump was does not replace anything', async () => {
    const wrong = (await dumps.take()).id;
    for (const location of ['onsite', 'offsite', 'plain'])
      await tamper(dumps.context, location, namesOf(dumps.context, wrong).record, (data) =>
        Buffer.from(JSON.stringify({ ...(JSON.parse(data.toString()) as BackupRecord), rows: { orders: 7 } })),
      );
    const before = await names();
    await expect(dumps.restore({ id: wrong, dropExisting: true })).rejects.toThrow(/orders has 1000 rows, and had 7/);
    expect(await names()).toEqual(before);
    expect((await dumps.restore({ id: wrong, into: 'copy' })).summary).toMatch(/orders has 1000 rows/);
    await logical.remove(dumps.context, 'main', 'onsite', [wrong]);
  });

  test('is tested on another host, with a state of its own and from another location', async () => {
    const other = await contextOf(dumps.lab, 'other');
    const { summary, doubts, seconds } = await logical
      .testRestore(other)
      .execute({ component: 'main', id, location: 'offsite', run: 'test' });
    expect(doubts, summary).toEqual([]);
    const proofs = Object.fromEntries((await at(id)).map(({ location, restored }) => [location, restored]));
    expect(proofs['offsite']).toEqual({ at: expect.any(String) as string, seconds, host: 'other' });
    expect(proofs['plain'], 'nobody restored it from there').toBeUndefined();
    expect(proofs['onsite'], 'restores into databases before this one').toMatchObject({ host: 'db1' });
  });
});
