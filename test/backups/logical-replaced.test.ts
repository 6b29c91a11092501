import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDumps, type Dumps } from '../helpers/dumps.js';

/**
 * What cannot be moved to the database that takes the place of another: it is refused before anything is done, or told.
 */

let dumps: Dumps;
beforeAll(async () => {
  dumps = await createDumps();
  for (const setting of ["wal_level = 'logical'", 'max_prepared_transactions = 5'])
    await dumps.lab.primary.sql(`alter system set ${setting}`, [], 'postgres');
  await dumps.lab.primary.stop();
  await dumps.lab.primary.start();
}, 900_000);
afterAll(() => dumps.lab.stop());
const sql = (text: string, database = 'shop') => dumps.lab.primary.sql<Record<string, unknown>>(text, [], database);

test('a database with a prepared transaction is not replaced, and stays open: it says which one', async () => {
  const { id } = await dumps.take();
  await sql("begin; delete from payments; prepare transaction 'of the bank'");
  await expect(dumps.restore({ id, dropExisting: true })).rejects.toMatchObject({
    type: 'BadRequest',
    message: expect.stringMatching(/shop has a prepared transaction \(of the bank\)/) as string,
  });
  expect(await sql(`select datname, datallowconn as open from pg_database where datname ~ 'shop|lifeboat'`)).toEqual([
    { datname: 'shop', open: true },
  ]);
  await sql("rollback prepared 'of the bank'");
});

test('slots and subscriptions that stay with the old database are named', async () => {
  await sql("select pg_create_logical_replication_slot('to_the_warehouse', 'pgoutput')");
  const { port, passwords } = dumps.lab.primary;
  const from = `host=127.0.0.1 port=${port} user=postgres password=${passwords.superuser} dbname=postgres`;
  await sql('create publication all_of_it for all tables', 'postgres');
  await sql("select pg_create_logical_replication_slot('from_postgres', 'pgoutput')", 'postgres');
  await sql(
    `create subscription prices connection '${from}' publication all_of_it with (create_slot = false, slot_name = 'from_postgres')`,
  );
  const { id } = await dumps.take();
  const { summary, aside } = await dumps.restore({ id, dropExisting: true });
  expect(summary).toMatch(/slots stay with the old one, and hold its WAL until they are dropped: to_the_warehouse/);
  expect(summary).toMatch(/subscriptions go on in the old one, and are disabled in the new one: prices/);
  expect(
    await sql(
      'select subenabled as on from pg_subscription s join pg_database d on d.oid = subdbid order by datname = $$shop$$',
    ),
  ).toEqual([{ on: true }, { on: false }]);
  await sql('alter subscription prices disable', aside);
});
