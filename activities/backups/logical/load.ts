import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import type { DatabaseMade } from '../../../workflows/messages.js';
import { asOwner } from '../../as-owner.js';
import { progress } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import { failure } from '../../errors.js';
import { runQueries } from '../../postgres/checks.js';
import { one } from '../../postgres/connect.js';
import type { Programs } from '../../postgres/programs.js';
import { conninfo, type Source, withSource } from '../../postgres/source.js';
import { ownFor } from '../../files.js';
import { type Ledger, run } from '../../run.js';
import type { Archive, Beside } from './fetch.js';
import { countInTransaction, createStatement } from './made.js';
import { feed, stream } from './program.js';
import { hasTablespaces, makeMissingRoles, readGlobals, rolesOf } from './roles.js';

const execFileAsync = promisify(execFile);

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
 * Loads it from its file: pg_restore with several connections, or psql in one transaction for plain SQL; the first error ends it. Throws CommandFailed.
 * `rest`: its rows are there already, by `loadBeside`.
 * Source: PostgreSQL manual, pg_restore -j, --exit-on-error; field-notes, "Logical".
 */
export async function load(loading: Loading, expected: number, rest = false): Promise<void> {
  const { source, admin, archive, programs, database, ledger } = loading;
  const program = archive.format === 'custom' ? 'pg_restore' : 'psql';
  const plain = ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--single-transaction', `--file=${archive.path}`];
  const custom = async () => [
    `--jobs=${availableParallelism()}`,
    ...(rest ? [`--use-list=${await listOfRest(loading)}`] : []),
    ...(await common(loading)),
    archive.path,
  ];
  const args = archive.format === 'custom' ? await custom() : [...plain, '--no-password', `--dbname=${conninfo(database)}`];
  const watching = watch(admin, database, expected, `${rest ? 'building the indexes of' : 'restoring'} ${archive.what}`);
  try {
    await run(join(programs.directory, program), args, { owner: source.owner, env: source.env, ledger, quiet: true });
  } catch (error) {
    throw inWords(archive, error);
  } finally {
    clearInterval(watching);
  }
}

/**
 * Loads the tables and their rows while the dump comes, over one connection. What follows is for `load`: indexes and keys, which several connections
 * build; and privileges, since an owner may have taken them from itself, and could not check a foreign key then.
 * `discard`: removes what was loaded. Source: PostgreSQL manual, pg_restore --section.
 */
export async function loadBeside(loading: Loading, discard: () => Promise<void>): Promise<Beside> {
  const { source, programs } = loading;
  const sections = ['--section=pre-data', '--section=data', '--no-privileges'];
  const program = stream(join(programs.directory, 'pg_restore'), [...sections, ...(await common(loading))], source);
  return { into: feed(program), done: () => program.done, end: program.end, discard };
}

async function common({ admin, archive, database }: Loading): Promise<string[]> {
  const tablespaces = archive.globals ? await hasTablespaces(admin, readGlobals(archive.globals)) : true;
  return ['--exit-on-error', '--no-password', `--dbname=${conninfo(database)}`, ...(tablespaces ? [] : ['--no-tablespaces'])];
}

/** A list of what `loadBeside` leaves, beside the dump: numbers alone, since names may hold anything. Source: PostgreSQL manual, pg_restore -L. */
async function listOfRest({ source, archive, programs }: Loading): Promise<string> {
  const contents = async (...only: string[]): Promise<Map<string, string>> => {
    const asked = ['--list', ...only, archive.path];
    const as = asOwner(source.owner, join(programs.directory, 'pg_restore'), asked);
    const options = { ...as.identity, env: { PATH: process.env['PATH'], LC_ALL: 'C' }, maxBuffer: 2 ** 30 };
    const { stdout } = await execFileAsync(as.command, as.args, options);
    // pg_restore writes no line end within a name; other characters that end a line for some are no end here.
    const entries = stdout.split('\n').map((line) => /^(\d+); \d+ \d+ (\S+)/.exec(line));
    return new Map(entries.filter((entry) => entry !== null).map(([, id, what]) => [id!, what!]));
  };
  const indexes = await contents('--section=post-data');
  const rest = [...(await contents())].filter(([id, what]) => indexes.has(id) || what === 'ACL').map(([id]) => `${id};\n`);
  const path = `${archive.path}.rest`;
  await writeFile(path, rest.join(''), { mode: 0o600 });
  await ownFor(path, source.owner);
  return path;
}

/** Of a dump that has a record, the digest has said already that it is sound. What the server says may hold any word. */
function inWords(archive: Archive, error: unknown): unknown {
  const { message } = error as Error;
  if (
    archive.record ||
    /\b(ERROR|FATAL):/.test(message) ||
    !/could not read from input file|unexpected end of file|corrupt|could not uncompress|unexpected block ID/.test(message)
  )
    return error;
  return failure('BackupDamaged', `${archive.what} is cut off or damaged: ${message}`, 'Take another one: lifeboat backup list');
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
