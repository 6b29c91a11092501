import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { DatabaseMade } from '../../../workflows/messages.js';
import { progress } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import { failure } from '../../errors.js';
import { runQueries } from '../../postgres/checks.js';
import { one } from '../../postgres/connect.js';
import type { Programs } from '../../postgres/programs.js';
import { conninfo, type Source, withSource } from '../../postgres/source.js';
import { type Ledger, run } from '../../run.js';
import type { Archive } from './fetch.js';
import { countInTransaction, createStatement } from './made.js';
import { hasTablespaces, makeMissingRoles, readGlobals, rolesOf } from './roles.js';

/** Loading a dump into a new, empty database of any server: the real one, under a temporary name, or a scratch one. */

export interface Loading {
  source: Source;
  /** Connected to another database of that server. */
  admin: pg.Client;
  archive: Archive;
  programs: Programs;
  database: string;
  made: Omit<DatabaseMade, 'dumpBytes'> | undefined;
  ledger: Ledger;
}

/** Makes the roles that are missing and the database, which must not be there. Returns what people should know. */
export async function createEmpty({ source, admin, archive, database, made }: Loading): Promise<string[]> {
  const notes: string[] = [];
  if (archive.globals) {
    const created = await makeMissingRoles(admin, readGlobals(archive.globals));
    if (created.length > 0) notes.push(`made the missing roles ${created.join(', ')}`);
  }
  const owner = made && (await rolesOf(admin)).has(made.owner) ? made.owner : undefined;
  if (made && owner === undefined)
    notes.push(`its owner ${made.owner} is not there: ${source.env['PGUSER'] ?? 'whoever restores it'} owns it`);
  await checkpoint('before creating a database');
  try {
    await admin.query(createStatement(database, made && (await withoutMissing(admin, made)), owner));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== '22023' && !/locale|collation|encoding/i.test(message)) throw error;
    throw failure(
      'WrongTarget',
      `the database cannot be made as it was: ${message}`,
      `Generate the locale ${made?.icuLocale ?? made?.collate ?? ''} on ${source.context.host} (locale-gen), then retry.`,
    );
  }
  await checkpoint('after creating a database');
  return notes;
}

/** A tablespace that this server has not is left out: its tables go where the server puts them by itself. */
async function withoutMissing<Made extends { tablespace?: string }>(admin: pg.Client, made: Made): Promise<Made> {
  if (made.tablespace === undefined) return made;
  const { rowCount } = await admin.query('select 1 from pg_tablespace where spcname = $1', [made.tablespace]);
  if (rowCount) return made;
  const { tablespace: _, ...rest } = made;
  return rest as Made;
}

/**
 * Loads it: pg_restore with several connections, or psql in one transaction for plain SQL; the first error ends it. Throws CommandFailed.
 * Source: PostgreSQL manual, pg_restore -j, --exit-on-error; field-notes, "Logical".
 */
export async function load(loading: Loading, expected: number): Promise<void> {
  const { source, admin, archive, programs, database, ledger } = loading;
  const tablespaces = archive.globals ? await hasTablespaces(admin, readGlobals(archive.globals)) : true;
  const into = `--dbname=${conninfo(database)}`;
  const custom = [
    ...[`--jobs=${availableParallelism()}`, '--exit-on-error', '--no-password', into],
    ...(tablespaces ? [] : ['--no-tablespaces']),
    archive.path,
  ];
  const plain = [
    '--no-psqlrc',
    '--quiet',
    '--no-password',
    '--set=ON_ERROR_STOP=1',
    '--single-transaction',
    `--file=${archive.path}`,
    into,
  ];
  const watching = watch(admin, database, expected, `restoring ${archive.what}`);
  try {
    await run(join(programs.directory, archive.format === 'custom' ? 'pg_restore' : 'psql'), archive.format === 'custom' ? custom : plain, {
      owner: source.owner,
      env: source.env,
      ledger,
      quiet: true,
    });
  } catch (error) {
    const { message } = error as Error;
    if (!/could not read from input file|unexpected end of file|corrupt|could not uncompress|unexpected block ID/.test(message))
      throw error;
    throw failure('BackupDamaged', `${archive.what} is cut off or damaged: ${message}`, 'Take another one: lifeboat backup list');
  } finally {
    clearInterval(watching);
  }
}

/** How much of it is there. */
function watch(admin: pg.Client, database: string, expected: number, what: string): NodeJS.Timeout {
  const began = Date.now();
  let asking = false;
  const look = async () => {
    const size = Number(await one<string>(admin, 'select pg_database_size(oid) from pg_database where datname = $1', [database]));
    const bytesTotal = Math.max(size, expected);
    const seconds = (Date.now() - began) / 1000;
    progress({
      what,
      bytesDone: size,
      bytesTotal,
      percent: Math.floor((100 * size) / Math.max(1, bytesTotal)),
      secondsLeft: Math.round(((bytesTotal - size) * seconds) / Math.max(1, size)),
    });
  };
  return setInterval(() => {
    if (asking) return;
    asking = true;
    look()
      .catch(() => undefined)
      .finally(() => (asking = false));
  }, 1000);
}

/** Compares the rows with those of the dump's own snapshot, exactly, and asks the plan's queries. Returns a sentence for each that is wrong. */
export async function judge(source: Source, database: string, archive: Archive): Promise<string[]> {
  return withSource(source, database, async (client) => {
    const known = Object.entries(archive.record?.rows ?? {});
    await client.query('begin isolation level repeatable read read only');
    const found = await countInTransaction(
      client,
      known.map(([table]) => table),
    );
    await client.query('rollback');
    const wrong = known
      .filter(([table, expected]) => expected !== null && found[table] !== expected)
      .map(([table, expected]) => `${table} has ${found[table] ?? 'no readable'} rows, and had ${expected} when the dump was taken`);
    return [...wrong, ...(await runQueries(source, client))];
  });
}
