import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logical } from '../../activities/backups/logical/provider.js';
import { noteRestored } from '../../activities/backups/logical/notes.js';
import { tool } from '../../lab/tools.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import { createDumps, type Dumps, namesOf, tamper } from '../helpers/dumps.js';

/**
 * Whatever way a dump is loaded (while it is fetched, or by several connections from a file), what comes of it is what
 * was dumped.
 */

let dumps: Dumps;
beforeAll(async () => {
  dumps = await createDumps((plan) => {
    plan.locations['plain'] = { directory: join(Object.values(plan.locations)[0]!.directory!, '..', 'plain') };
    mkdirSync(plan.locations['plain'].directory!);
    const main = plan.databases['main']!;
    delete main.backups.physical;
    main.verify = { rows: { big: {} }, queries: [] };
  }, 100);
  for (const statement of objects) await dumps.lab.primary.sql(statement);
}, 900_000);
afterAll(() => dumps.lab.stop());

/** What a load in pieces could get wrong: what depends on privileges, on rows, or on the order. */
const objects = [
  `create role reader`,
  `create role selfless`,
  `create table big (id int primary key, word text, filler text)`,
  `insert into big select g, 'word ' || g % 100, repeat(md5(g::text), 20) from generate_series(1, 20000) g`,
  `create index big_words on big (word)`,
  // What ends a line for some.
  `create index "odd\u20281; 1 1 ACL \u2029 name" on big (id, word)`,
  `comment on index big_words is 'looked for; "by word"'`,
  `cluster big using big_words`,
  `alter table big add constraint words check (word like 'word %')`,
  `create table child (id int primary key, big int not null references big)`,
  `insert into child select g, g from generate_series(1, 1000) g`,
  // Its owner may no longer read what a foreign key refers to: it could not be checked after this was restored.
  `create table referred (id int primary key)`,
  `create table referring (id int references referred)`,
  `insert into referred values (1); insert into referring values (1)`,
  `alter table referred owner to selfless; alter table referring owner to selfless`,
  `revoke all on referred from selfless`,
  `grant select (id, word) on big to reader`,
  // Its owner reads by a privilege: it cannot be filled before that is restored.
  `create materialized view words as select word, count(*) from big group by 1`,
  `create unique index on words (word)`,
  `alter materialized view words owner to reader`,
  `create function noted() returns trigger language plpgsql as 'begin new.word := upper(new.word); return new; end'`,
  `create trigger noting before insert on big for each row execute function noted()`,
  `create rule ignored as on insert to child do instead nothing`,
  `create function told() returns event_trigger language plpgsql as 'begin raise notice ''told''; end'`,
  `create event trigger telling on ddl_command_end execute function told()`,
  `create sequence numbers start 7`,
  `select nextval('numbers')`,
  `alter default privileges grant select on tables to reader`,
  `alter table child enable row level security`,
  `create policy own on child for select to reader using (id < 10)`,
  `create publication announced for table big`,
  `create statistics together on word, filler from big`,
  `select lo_from_bytea(4711, 'large')`,
  `grant select on large object 4711 to reader`,
];

const pgDump = (database: string, ...args: string[]): string => {
  const { primary } = dumps.lab;
  const text = execFileSync(
    join(tool('postgres'), '..', 'pg_dump'),
    ['-h', primary.socketDirectory, '-p', String(primary.port), '-U', 'postgres', ...args, database],
    { env: { ...process.env, PGPASSWORD: primary.passwords.superuser }, maxBuffer: 1e9 },
  ).toString();
  // Newer versions guard their scripts with a random word.
  return text.replace(/^\\(un)?restrict .*$/gm, '');
};
const recordOf = async (id: string, location = 'onsite'): Promise<BackupRecord> =>
  (await logical.list(dumps.context, 'main')).backups.find(
    (record) => record.id === id && record.location === location,
  )!;
const names = async () =>
  (await dumps.lab.primary.sql<{ datname: string }>('select datname from pg_database')).map((one) => one.datname);

/** The share of the largest table decides how it is loaded; both ways are taken with the same database. */
async function asIf(id: string, largest: number): Promise<void> {
  for (const location of ['onsite', 'offsite', 'plain'])
    await tamper(dumps.context, location, namesOf(dumps.context, id).record, (data) => {
      const record = JSON.parse(data.toString('utf8')) as BackupRecord;
      record.made!.largest = largest;
      return Buffer.from(JSON.stringify(record));
    });
}

describe.each([
  ['while it is fetched', 0.9],
  ['by several connections', 0.1],
])('a dump that is loaded %s', (how, largest) => {
  let id: string;
  beforeAll(async () => {
    ({ id } = await dumps.take());
    expect((await recordOf(id)).made!.largest, 'the share of the largest table').toBeGreaterThan(0.5);
    await asIf(id, largest);
  });

  test('gives the objects, the rows and the privileges that were dumped', async () => {
    const into = `all ${how}`;
    await dumps.restore({ id, into });
    expect(pgDump(into, '--schema-only')).toBe(pgDump('shop', '--schema-only'));
    const rows = (database: string) => pgDump(database, '--data-only').split('\n').sort();
    expect(rows(into)).toEqual(rows('shop'));
    expect(await dumps.lab.primary.sql('select count(*)::int as n from words', [], into)).toEqual([{ n: 100 }]);
    expect((await recordOf(id)).restored, 'what the list shows as proof').toMatchObject({ host: 'db1' });
  });

  test('and is damaged in its middle is taken from the next location, and nothing is left of what was loaded', async () => {
    const before = await names();
    const flip = (data: Buffer) => {
      data[data.length >> 1]! ^= 1;
      return data;
    };
    await tamper(dumps.context, 'onsite', namesOf(dumps.context, id).dump, flip);
    await tamper(dumps.context, 'plain', namesOf(dumps.context, id).dump.replace('.age', ''), flip);
    await expect(dumps.restore({ id, location: 'plain', into: 'never' })).rejects.toMatchObject({
      type: 'BackupDamaged',
    });
    expect(await names()).toEqual(before);
    const { summary } = await dumps.restore({ id, into: `sound ${how}` });
    expect(summary).toMatch(/NOT from onsite: .*database\.dump\.zst\.age/);
    expect((await recordOf(id)).damaged?.why).toMatch(/changed or cut off|digest/);
    expect(pgDump(`sound ${how}`, '--schema-only')).toBe(pgDump('shop', '--schema-only'));
    const tested = await logical
      .testRestore(dumps.context)
      .execute({ component: 'main', id, location: 'offsite', run: 'shapes' });
    expect(tested.doubts, tested.summary).toEqual([]);
  });
});

test('that a dump was restored is noted beside what was found of it meanwhile, and brings no record back', async () => {
  const { id } = await dumps.take();
  const record = await recordOf(id);
  await tamper(dumps.context, 'onsite', namesOf(dumps.context, id).record, (data) => {
    const now = JSON.parse(data.toString('utf8')) as BackupRecord;
    return Buffer.from(JSON.stringify({ ...now, damaged: { at: '2026-11-21T00:00:00.000Z', why: 'found meanwhile' } }));
  });
  await noteRestored(dumps.context, record, Date.now());
  expect(await recordOf(id)).toMatchObject({ damaged: { why: 'found meanwhile' }, restored: { host: 'db1' } });
  await tamper(dumps.context, 'onsite', namesOf(dumps.context, id).record, () => undefined);
  await noteRestored(dumps.context, record, Date.now());
  expect(await recordOf(id)).toBeUndefined();
});

test.each([0.9, 0.1])(
  'a sound dump that the server does not take says why, and is not called damaged: share %s',
  async (largest) => {
    const { primary } = dumps.lab;
    // What pg_dump cannot know: the check reads a table that is loaded later.
    await primary.sql(`create table if not exists zones (id int)`);
    await primary.sql(`insert into zones values (1)`);
    await primary.sql(
      `create or replace function zoned() returns boolean language plpgsql as 'begin if not exists (select from public.zones) then raise ''corrupt zones''; end if; return true; end'`,
    );
    await primary.sql(`alter table child drop constraint if exists zoned`);
    await primary.sql(`alter table child add constraint zoned check (zoned())`);
    const before = await names();
    const { id } = await dumps.take();
    await asIf(id, largest);
    await expect(dumps.restore({ id, into: 'refused' })).rejects.toMatchObject({
      type: 'CommandFailed',
      message: expect.stringMatching(/corrupt zones/),
    });
    expect((await recordOf(id)).damaged).toBeUndefined();
    expect(await names()).toEqual(before);
    await primary.sql(`alter table child drop constraint zoned`);
  },
);
