import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { putOneAway, putOneBack, settleOne } from '../../activities/recovery/one-database.js';
import { markStatement, marks, temporaryName } from '../../activities/backups/logical/marks.js';
import { checkRequest } from '../../activities/recovery/check-request.js';
import { lookAtNeighbours } from '../../activities/recovery/neighbours.js';
import { openDatabase, release } from '../../activities/postgres/open.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { type Host, hostOf } from '../helpers/host.js';

/** Field note 24: a restore is of the cluster. Two databases in one, of which one is to go back in time. */

const incident = 'one';
const input = { database: 'main', incident };
let lab: Lab;
let host: Host;
let target: string;
beforeAll(async () => {
  lab = await createLab({
    ...{ rows: 300, service: false, temporal: 'none', fast: true },
    verify: { rows: { orders: {} }, queries: [] },
  });
  const { primary } = lab;
  await primary.sql('alter system set max_prepared_transactions = 5', [], 'postgres');
  await primary.restart();
  await primary.sql('create database stock', [], 'postgres');
  await primary.sql('create table items as select g as id from generate_series(1, 1000) g', [], 'stock');
  await primary.sql(
    `create role gone; create table kept (id int); alter table kept owner to gone; insert into kept values (1)`,
  );
  host = await hostOf(lab);
  await host.backup();
  await host.beat();
  target = (
    await primary.sql<{ now: string }>(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
    )
  )[0]!.now;
  // What is to be undone in the one, and must stay in the other.
  await pause(20);
  await primary.sql('delete from payments; delete from orders where id > 100');
  await primary.sql('drop table kept; drop role gone');
  await primary.sql('insert into items select g from generate_series(1001, 1500) g', [], 'stock');
  await host.beat();
  await primary.sql('select pg_switch_wal()');
}, 900_000);
afterAll(() => lab.stop());

const sql = <T extends Record<string, unknown>>(text: string, database: string) =>
  lab.primary.sql<T>(text, [], database);
const count = async (table: string, database: string) =>
  (await sql<{ n: number }>(`select count(*)::int as n from ${table}`, database))[0]!.n;
const names = async () =>
  (
    await sql<{ name: string }>(
      `select datname as name from pg_database where not datistemplate order by 1`,
      'postgres',
    )
  ).map(({ name }) => name);
const look = () => lookAtNeighbours(host.context).execute(input);

test('the check of a request says that the other databases go back, too, with their figures', async () => {
  const { warnings } = await checkRequest(host.context).execute({ ...input, target });
  expect(warnings.join()).toMatch(
    /every other database of the cluster goes back with it, too: stock: [\d.]+ MB, about 1500 rows in 1 table now, files last changed 20\S+Z/,
  );
  const latest = await checkRequest(host.context).execute(input);
  expect(latest.warnings.join()).toMatch(/every other database of the cluster is restored with it: stock/);
});

describe('while the incident is open, and a copy was restored', () => {
  beforeAll(async () => {
    await stopWrites(host.context).execute(input);
    await host.restore(incident, target);
  }, 900_000);

  test('what the approval shows is there, and that the one can go back alone', async () => {
    const { lines, notAlone } = await look();
    expect(lines).toEqual([expect.stringMatching(/^stock: .*about 1500 rows in 1 table now/)]);
    expect(notAlone).toBeNull();
  });

  test('a prepared transaction keeps it from going back alone, and that is said', async () => {
    await sql(`begin; create table held (id int); prepare transaction 'held'`, 'shop');
    expect((await look()).notAlone).toMatch(/prepared transaction/);
    await sql(`rollback prepared 'held'`, 'shop');
  });

  test('the one is put back, the other stays as it is, and nothing is dropped', async () => {
    const placed = await putOneBack(host.context).execute(input);
    expect(placed.summary).toMatch(/shop alone is as in the copy/);
    expect(await count('orders', 'shop')).toBe(300);
    expect(await count('items', 'stock')).toBe(1500);
    expect(await count('orders', placed.aside)).toBe(100);
    expect(await count('kept', 'shop'), 'with a role that was dropped since').toBe(1);
    expect(await names()).toEqual(['postgres', 'shop', placed.aside, 'stock'].sort());
    const again = await putOneBack(host.context).execute(input);
    expect(again.aside, 'done once').toBe(placed.aside);
  });

  test('a roll-back renames both back', async () => {
    const { aside } = await putOneAway(host.context).execute(input);
    expect(await count('orders', 'shop')).toBe(100);
    expect(await count('orders', aside)).toBe(300);
    expect((await putOneAway(host.context).execute(input)).aside).toBe(aside);
    expect(await count('items', 'stock')).toBe(1500);
    await sql(`drop database "${aside}"`, 'postgres');
    await sql(`comment on database shop is null`, 'postgres');
  });

  test('an incident that ends in its middle leaves the database open, and nothing half loaded', async () => {
    const temporary = temporaryName('main', `incident ${incident}`);
    await sql(`create database ${temporary}`, 'postgres');
    await sql(markStatement(temporary, marks.begun('main', `incident ${incident}`, 'ready')), 'postgres');
    await sql(`alter database shop allow_connections false`, 'postgres');
    await settleOne(host.context).execute(input);
    expect(await names()).toEqual(['postgres', 'shop', 'stock']);
    expect(await count('orders', 'shop')).toBe(100);
    await openDatabase(host.context).execute(input);
    await release(host.context).execute(input);
  });
});
