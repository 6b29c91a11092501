import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { cancelled } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import { failure } from '../../errors.js';
import type { Source } from '../../postgres/source.js';
import { asideName, databases, markStatement } from './marks.js';

/** Giving a restored database its name. One transaction each: there is no moment in which a name is nobody's. */

const id = pg.escapeIdentifier;

export const openStatement = (name: string): string => `ALTER DATABASE ${id(name)} ALLOW_CONNECTIONS true`;

/** The database to be connected to while another one is renamed. */
export const maintenance = ({ name }: Source): string => (name === 'postgres' ? 'template1' : 'postgres');

/**
 * With a session of its own: that of a cancelled activity is ended, and what is undone then must be undone all the
 * same.
 */
export async function afresh<T>(source: Source, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await source.connect(maintenance(source));
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function together(client: pg.Client, statements: string[]): Promise<void> {
  await client.query('begin');
  try {
    for (const statement of statements) await client.query(statement);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/**
 * Throws BadRequest when the database cannot be renamed whatever is done, before hours are spent: a prepared
 * transaction belongs to its application.
 * Source: PostgreSQL manual, PREPARE TRANSACTION.
 */
export async function demandRenamable(admin: pg.Client, name: string): Promise<void> {
  const { rows } = await admin.query<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = $1 order by prepared',
    [name],
  );
  const [first] = rows;
  if (!first) return;
  throw failure(
    'BadRequest',
    `${name} has ${rows.length === 1 ? 'a prepared transaction' : `${rows.length} prepared transactions`} (${first.gid}), and cannot be renamed aside with it`,
    'End it in that database: COMMIT PREPARED or ROLLBACK PREPARED, as its application says; then retry. Nothing was changed.',
  );
}

/** What stays with the database that is renamed aside and goes on there, as sentences: people must know. */
export async function staysBehind(admin: pg.Client, name: string): Promise<string[]> {
  const namesOf = async (text: string) =>
    (await admin.query<{ name: string }>(text, [name])).rows.map((row) => row.name);
  const slots = await namesOf('select slot_name as name from pg_replication_slots where database = $1 order by 1');
  const subscriptions = await namesOf(
    'select subname as name from pg_subscription s join pg_database d on d.oid = subdbid where datname = $1 and subenabled order by 1',
  ).catch(() => []);
  return [
    ...(slots.length > 0
      ? [`replication slots stay with the old one, and hold its WAL until they are dropped: ${slots.join(', ')}`]
      : []),
    ...(subscriptions.length > 0
      ? [`subscriptions go on in the old one, and are disabled in the new one: ${subscriptions.join(', ')}`]
      : []),
  ];
}

export interface Placed {
  into: string;
  /** What the one that was there before is called now. */
  aside?: string;
}

/** Gives it a name that nobody has. Throws BadRequest when somebody has it by now. */
export async function givePlace(admin: pg.Client, temporary: string, into: string, mark: string): Promise<Placed> {
  await patiently(admin, [temporary], async () => {
    await checkpoint('before naming the restored database');
    await together(admin, [`ALTER DATABASE ${id(temporary)} RENAME TO ${id(into)}`, markStatement(into, mark)]).catch(
      (error: unknown) => {
        if ((error as { code?: string }).code !== '42P04') throw error;
        throw failure('BadRequest', `there is a database ${into} by now`, 'Name another one.');
      },
    );
  });
  await checkpoint('after naming the restored database');
  return { into };
}

/**
 * Gives it the name of an existing database, which is renamed aside and kept: nobody may connect to it meanwhile, its
 * sessions are ended, and both are renamed at once. When that cannot be done, the existing one is opened again as it
 * was.
 * Source: field-notes, "Cut over: Same cluster".
 */
export async function takePlace(
  source: Source,
  admin: pg.Client,
  temporary: string,
  name: string,
  mark: { restored: string; aside: string },
): Promise<Placed> {
  const there = new Set((await databases(admin)).map((one) => one.name));
  if (!there.has(name)) return givePlace(admin, temporary, name, mark.restored);
  // Twice in one second, as when it is rolled back at once.
  let at = Date.now();
  while (there.has(asideName(name, new Date(at)))) at += 1000;
  const aside = asideName(name, new Date(at));
  await checkpoint('before closing the database');
  await admin.query(`ALTER DATABASE ${id(name)} ALLOW_CONNECTIONS false`);
  try {
    await patiently(admin, [name, temporary], async () => {
      await checkpoint('before the databases change places');
      await together(admin, [
        `ALTER DATABASE ${id(name)} RENAME TO ${id(aside)}`,
        `ALTER DATABASE ${id(temporary)} RENAME TO ${id(name)}`,
        markStatement(aside, mark.aside),
        markStatement(name, mark.restored),
        openStatement(aside),
      ]);
    });
  } catch (error) {
    await afresh(source, (client) => client.query(openStatement(name)));
    throw error;
  }
  await checkpoint('after the databases changed places');
  return { into: name, aside };
}

/** A database in use cannot be renamed: sessions are ended, and PostgreSQL waits 5 s for them itself each time. */
async function patiently(admin: pg.Client, names: string[], rename: () => Promise<void>): Promise<void> {
  for (let left = 12; ; left -= 1) {
    cancelled()?.throwIfAborted();
    await admin.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = any($1) and pid <> pg_backend_pid()',
      [names],
    );
    try {
      await rename();
      return;
    } catch (error) {
      const { code, message, detail } = error as { code?: string; message: string; detail?: string };
      // 55006: object in use.
      if (code !== '55006') throw error;
      if (left === 0)
        throw failure(
          'ServerFailed',
          `the database does not come free: ${message}${detail ? ` (${detail})` : ''}`,
          'End what uses it (pg_stat_activity, pg_prepared_xacts), then retry.',
        );
      await pause(200);
    }
  }
}
