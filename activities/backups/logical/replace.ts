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

/** With a session of its own: that of a cancelled activity is ended, and what is undone then must be undone all the same. */
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

export interface Placed {
  into: string;
  /** What the one that was there before is called now. */
  aside?: string;
}

/** Gives it a name that nobody has. Throws BadRequest when somebody has it by now. */
export async function givePlace(admin: pg.Client, temporary: string, into: string, mark: string): Promise<Placed> {
  await patiently(admin, [temporary], async () => {
    await checkpoint('before naming the restored database');
    await together(admin, [`ALTER DATABASE ${id(temporary)} RENAME TO ${id(into)}`, markStatement(into, mark)]).catch((error: unknown) => {
      if ((error as { code?: string }).code !== '42P04') throw error;
      throw failure('BadRequest', `there is a database ${into} by now`, 'Name another one.');
    });
  });
  await checkpoint('after naming the restored database');
  return { into };
}

/**
 * Gives it the name of an existing database, which is renamed aside and kept: nobody may connect to it meanwhile, its sessions are ended, and both
 * are renamed at once. When that cannot be done, the existing one is opened again as it was.
 * Source: field-notes, "Cut over: Same cluster".
 */
export async function takePlace(
  source: Source,
  admin: pg.Client,
  temporary: string,
  name: string,
  mark: { restored: string; aside: string },
): Promise<Placed> {
  const existing = (await databases(admin)).find((one) => one.name === name);
  if (!existing) return givePlace(admin, temporary, name, mark.restored);
  const aside = asideName(name, new Date());
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
    await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = any($1) and pid <> pg_backend_pid()', [
      names,
    ]);
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
