import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { DatabaseMade } from '../../../vocabulary/backup.js';
import { progress } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import { failure } from '../../errors.js';
import { runQueries } from '../../postgres/checks.js';
import { one } from '../../postgres/connect.js';
import { conninfo, type Source, withSource } from '../../postgres/source.js';
import { ownFor } from '../../files.js';
import { type Ledger, run, tail } from '../../run.js';
import { contentsOf, type Entry, leftOutWith } from './contents.js';
import type { Archive, Beside } from './fetch.js';
import { countInTransaction, createStatement } from './database-properties.js';
import { feed, stream } from './program.js';
import { type Restorer, silenceUnknown, unknownTo } from './restorer.js';
import { hasTablespaces, makeMissingRoles, readGlobals, rolesOf } from './roles.js';
import { type Failed, inOneLine, listen, type Said } from './restore-errors.js';

/** Loading a dump into a new, empty database of any server: the real one, under a temporary name, or a scratch one. */

export interface Loading {
  source: Source;
  /** Connected to another database of that server. */
  admin: pg.Client;
  archive: Archive;
  programs: Restorer;
  database: string;
  made: Omit<DatabaseMade, 'dumpBytes'> | undefined;
  ledger: Ledger;
  /** Left out, by number or as `schema.name`, with whatever needs it. */
  without?: string[] | undefined;
  /** What cannot be loaded is left out, too; otherwise the first such object ends it. */
  skipFailed?: boolean | undefined;
  /** What people do to go on without what failed. */
  goOn?: (failed: Failed[]) => string;
}

/** What came of it, for people. */
export interface Loaded {
  notes: string[];
  /** Objects of the dump that are not there now, each in a line. */
  leftOut: string[];
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
 * Loads it from its file: pg_restore with several connections, or psql in one transaction for plain SQL. Throws
 * CommandFailed, which names the object that cannot be loaded, unless those are to be left out. `rest`: its rows are
 * there already, by `loadBeside`.
 * Source: PostgreSQL manual, pg_restore -j, --exit-on-error; field-notes, "Logical".
 */
export async function load(loading: Loading, expected: number, rest = false): Promise<Loaded> {
  const { admin, archive, database } = loading;
  const watching = watch(
    admin,
    database,
    expected,
    `${rest ? 'building the indexes of' : 'restoring'} ${archive.what}`,
  );
  try {
    return await (archive.format === 'custom' ? loadCustom(loading, rest) : loadPlain(loading));
  } catch (error) {
    throw inWords(archive, error);
  } finally {
    clearInterval(watching);
  }
}

async function loadCustom(loading: Loading, rest: boolean): Promise<Loaded> {
  const { source, admin, archive, programs, ledger, without = [], skipFailed } = loading;
  const out = without.length > 0 ? leftOutWith(await contentsOf(source, programs, archive.path), without) : [];
  const listed = rest || out.length > 0 ? [`--use-list=${await listOf(loading, rest, out)}`] : [];
  // One that is newer than the server sets what that does not know: this alone may fail. It does so once, before any
  // object, over one connection;
  // of several, each would, and name an object with it.
  const tolerant = skipFailed === true || programs.newer;
  const args = [
    ...(programs.newer ? [] : [`--jobs=${availableParallelism()}`]),
    ...listed,
    ...(tolerant ? [] : ['--exit-on-error']),
    ...(await common(loading)),
    archive.path,
  ];
  const hear = listen();
  const options = { owner: source.owner, env: source.env, ledger, quiet: true, onLine: hear.line };
  const { code, lines } = await run(join(programs.directory, 'pg_restore'), args, { ...options, accept: [1] });
  const failed = await named(loading, hear.said().failed);
  if (failed.length > 0 && !skipFailed) throw couldNotBring(loading, failed);
  const unknown = await demandEnded(admin, code, lines, hear.said());
  return {
    notes: notesOf(loading, unknown),
    leftOut: [
      ...out.map(({ id, what }) => `${what} (number ${id} of the dump): as was asked`),
      ...failed.map(inOneLine),
    ],
  };
}

/**
 * All but the rows; of these nothing need be there but the beginning of the file. Returns what could not be loaded.
 * Throws CommandFailed.
 */
export async function loadSchema(loading: Loading): Promise<Failed[]> {
  const { source, admin, archive, programs, ledger } = loading;
  const hear = listen();
  const options = {
    owner: source.owner,
    env: source.env,
    ledger,
    accept: [1],
    onLine: hear.line,
    timeout: 15 * 60_000,
  };
  const args = ['--section=pre-data', '--section=post-data', ...(await common(loading)), archive.path];
  const { code, lines } = await run(join(programs.directory, 'pg_restore'), args, options);
  await demandEnded(admin, code, lines, hear.said());
  return named(loading, hear.said().failed);
}

/** Nothing but objects, and parameters that the server does not know, failed. Returns these. Throws CommandFailed. */
async function demandEnded(
  admin: pg.Client,
  code: number,
  lines: string[],
  { ended, others, refused }: Said,
): Promise<string[]> {
  const unknown = await unknownTo(admin, refused);
  if (code === 0 || (ended && others === 0 && refused.every((name) => unknown.includes(name)))) return unknown;
  throw failure(
    'CommandFailed',
    `pg_restore ended with code ${code}: ${tail(lines)}`,
    'Read what it said; then retry, or do it by hand.',
    {
      code,
    },
  );
}

/** In the words of the table of contents, which has the schema, too. */
async function named({ source, programs, archive }: Loading, failed: Failed[]): Promise<Failed[]> {
  if (failed.length === 0) return failed;
  const entries = await contentsOf(source, programs, archive.path).catch((): Entry[] => []);
  return failed.map((one) => ({ ...one, what: entries.find(({ id }) => id === one.id)?.what ?? one.what }));
}

function couldNotBring({ archive, goOn }: Loading, failed: Failed[]) {
  return failure(
    'CommandFailed',
    `${archive.what} cannot be restored whole: ${failed.map(inOneLine).join('; ')}`,
    goOn?.(failed) ?? 'Read what it said; fix it where the dump was taken, and take another one.',
    { failed: failed.map(({ id, what }) => ({ id, what })) },
  );
}

const notesOf = ({ programs }: Loading, unknown: string[]): string[] =>
  unknown.length > 0
    ? [
        `what newer programs set and this server does not know was left out: ${unknown.join(', ')} (loaded by the programs of ${programs.version})`,
      ]
    : [];

/** A script names no objects: what fails in it is told by its line. */
async function loadPlain(loading: Loading): Promise<Loaded> {
  const { source, admin, archive, programs, database, ledger, skipFailed, without = [] } = loading;
  if (without.length > 0)
    throw failure(
      'BadRequest',
      `${archive.what} is a script, and of a script nothing is left out by name`,
      'Leave out what fails: --skip-failed',
    );
  const unknown = await silenceUnknown(admin, archive.path);
  const strict = skipFailed ? [] : ['--set=ON_ERROR_STOP=1', '--single-transaction'];
  const args = [
    '--no-psqlrc',
    '--quiet',
    ...strict,
    `--file=${archive.path}`,
    '--no-password',
    `--dbname=${conninfo(database)}`,
  ];
  const leftOut: string[] = [];
  const onLine = (line: string) => {
    const at = line.startsWith(`psql:${archive.path}:`)
      ? /^(\d+): (?:ERROR|error): +(.*)$/.exec(line.slice(`psql:${archive.path}:`.length))
      : null;
    if (at) leftOut.push(`what ends in line ${at[1]!} of the script: ${at[2]!.slice(0, 300)}`);
  };
  try {
    await run(join(programs.directory, 'psql'), args, {
      owner: source.owner,
      env: source.env,
      ledger,
      quiet: true,
      onLine,
    });
  } catch (error) {
    if (leftOut.length === 0) throw error;
    throw failure(
      'CommandFailed',
      `${archive.what} cannot be restored whole: ${leftOut.join('; ')}`,
      loading.goOn?.([]) ?? (error as { details?: { hint: string }[] }).details![0]!.hint,
    );
  }
  return { notes: notesOf(loading, unknown), leftOut };
}

/**
 * Loads the tables and their rows while the dump comes, over one connection. What follows is for `load`: indexes and
 * keys, which several connections build; and privileges, since an owner may have taken them from itself, and could not
 * check a foreign key then. `discard`: removes what was loaded. Source: PostgreSQL manual, pg_restore --section.
 */
export async function loadBeside(loading: Loading, discard: () => Promise<void>): Promise<Beside> {
  const { source, programs } = loading;
  const sections = ['--section=pre-data', '--section=data', '--no-privileges', '--exit-on-error'];
  const hear = listen();
  const args = [...sections, ...(await common(loading))];
  const program = stream(join(programs.directory, 'pg_restore'), args, { ...source, onLine: hear.line });
  const done = async () => {
    try {
      await program.done;
    } catch (error) {
      const { failed } = hear.said();
      throw failed.length > 0 ? couldNotBring(loading, failed) : error;
    }
  };
  return { into: feed(program), done, end: program.end, discard };
}

/**
 * What lets the rows be loaded while they come: programs that the server understands, and nothing that is to be left
 * out.
 */
export const mayLoadBeside = ({ programs, without = [], skipFailed }: Loading): boolean =>
  !programs.newer && !skipFailed && without.length === 0;

async function common({ admin, archive, database }: Loading): Promise<string[]> {
  const tablespaces = archive.globals ? await hasTablespaces(admin, readGlobals(archive.globals)) : true;
  return ['--verbose', '--no-password', `--dbname=${conninfo(database)}`, ...(tablespaces ? [] : ['--no-tablespaces'])];
}

/**
 * A list of what is to be loaded, beside the dump: numbers alone, since names may hold anything. `rest`: what
 * `loadBeside` leaves.
 * Source: PostgreSQL manual, pg_restore -L.
 */
async function listOf({ source, archive, programs }: Loading, rest: boolean, out: Entry[]): Promise<string> {
  const all = await contentsOf(source, programs, archive.path);
  const indexes = new Set(
    rest ? (await contentsOf(source, programs, archive.path, 'post-data')).map(({ id }) => id) : [],
  );
  const left = new Set(out.map(({ id }) => id));
  const wanted = all.filter(({ id, kind }) => (rest ? indexes.has(id) || kind === 'ACL' : !left.has(id)));
  const path = `${archive.path}.list`;
  await writeFile(path, wanted.map(({ id }) => `${id};\n`).join(''), { mode: 0o600 });
  await ownFor(path, source.owner);
  return path;
}

/**
 * Of a dump that has a record, the digest has said already that it is sound. What the server says may hold any word.
 */
function inWords(archive: Archive, error: unknown): unknown {
  const { message } = error as Error;
  if (
    archive.record ||
    /\b(ERROR|FATAL):/.test(message) ||
    !/could not read from input file|unexpected end of file|corrupt|could not uncompress|unexpected block ID/.test(
      message,
    )
  )
    return error;
  return failure(
    'BackupDamaged',
    `${archive.what} is cut off or damaged: ${message}`,
    'Take another one: lifeboat backup list',
  );
}

/** How much of it is there. */
function watch(admin: pg.Client, database: string, expected: number, what: string): NodeJS.Timeout {
  const began = Date.now();
  let asking = false;
  const look = async () => {
    const size = Number(
      await one<string>(admin, 'select pg_database_size(oid) from pg_database where datname = $1', [database]),
    );
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

/**
 * Compares the rows with those of the dump's own snapshot, exactly, and asks the plan's queries. Returns a sentence for
 * each that is wrong; `leftOut` was told already.
 */
export async function judge(
  source: Source,
  database: string,
  archive: Archive,
  leftOut: string[] = [],
): Promise<string[]> {
  return withSource(source, database, async (client) => {
    const known = Object.entries(archive.record?.rows ?? {});
    await client.query('begin isolation level repeatable read read only');
    const found = await countInTransaction(
      client,
      known.map(([table]) => table),
    );
    await client.query('rollback');
    const wrong = known
      .filter(
        ([table, expected]) =>
          expected !== null && found[table] !== expected && !leftOut.some((one) => isOf(one, table)),
      )
      .map(
        ([table, expected]) =>
          `${table} has ${found[table] ?? 'no readable'} rows, and had ${expected} when the dump was taken`,
      );
    return [...wrong, ...(await runQueries(source, client))];
  });
}

/** Whether this line tells of a table, or of its rows. */
function isOf(line: string, table: string): boolean {
  const [schema, name] = table.includes('.') ? table.split('.') : ['public', table];
  return line.startsWith(`TABLE ${schema!} ${name!} `) || line.startsWith(`TABLE DATA ${schema!} ${name!} `);
}
