import type { EventEmitter } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { readFile } from '../files.js';

/**
 * What each session of Lifeboat sets for itself, and each program of PostgreSQL that it runs. A server, a database and
 * a role may be set up for an application: a time-out that ends a long check, read-only transactions, dates in another
 * order. None of that may decide what a recovery reads.
 */

/**
 * Everybody may set these, and every supported version knows them: they come with the start of a session, and beat what
 * is set elsewhere.
 */
const forAll = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  default_transaction_read_only: 'off',
  default_transaction_isolation: 'read committed',
  IntervalStyle: 'postgres',
  // No standby is waited for: after a recovery there may be none yet.
  synchronous_commit: 'local',
};

/** What is read is text: it has one form. And rows that a policy would hide are an error, never a smaller number. */
const forReading = {
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  extra_float_digits: '1',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  exit_on_error: 'off',
  gin_fuzzy_search_limit: '0',
  row_security: 'off',
};

/** The version that brought them. */
const ofLaterVersions: Record<string, { since: number; value: string }> = {
  idle_session_timeout: { since: 14, value: '0' },
  transaction_timeout: { since: 17, value: '0' },
};

const forVersion = (version = 0): Record<string, string> =>
  Object.fromEntries(
    Object.entries(ofLaterVersions)
      .filter(([, { since }]) => version >= since)
      .map(([name, { value }]) => [name, value]),
  );

/**
 * For superusers alone. Event triggers are the application's: they may refuse our own DDL (a canary, amcheck in a
 * copy), and would run as superuser. Before 17 only the role of a replica keeps them away; we write no rows of an
 * application over such a session, so its other effects (triggers and foreign keys of tables) touch nothing. The last
 * two would hide damage, and make it worse.
 */
const forSuperusers = (version?: number): Record<string, string> => ({
  lc_messages: 'C',
  ...(version !== undefined && version >= 17 ? { event_triggers: 'off' } : { session_replication_role: 'replica' }),
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
});

export interface Limits {
  /** Milliseconds that a statement may take, and wait for a lock; 0, and by default, no limit. */
  statementTimeout?: number;
  lockTimeout?: number;
}

const limited = ({ statementTimeout = 0, lockTimeout = 0 }: Limits) => ({
  statement_timeout: String(statementTimeout),
  lock_timeout: String(lockTimeout),
});

/**
 * As PGOPTIONS and the start of a session have them. Source: PostgreSQL manual, PGOPTIONS: blanks and backslashes are
 * escaped.
 */
const asOptions = (settings: Record<string, string>): string =>
  Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`)
    .join(' ');

/** For the start of a session of our own. {@link settle} follows once it is open. */
export const sessionOptions = (limits: Limits = {}): string =>
  asOptions({ ...forAll, ...forReading, ...limited(limits) });

/**
 * PGOPTIONS for a program of PostgreSQL, or one that connects to it. `version`: the server's, where it is known.
 * `superuser`: it only looks, or does DDL of our own (pg_amcheck): what restores rows must leave triggers and messages
 * as they are, and is often no superuser.
 */
export function programOptions({
  version,
  superuser,
  ...limits
}: Limits & { version?: number; superuser?: boolean } = {}): string {
  return asOptions({
    ...forAll,
    ...limited(limits),
    ...forVersion(version),
    ...(superuser ? forSuperusers(version) : {}),
  });
}

/** The same for a program that works on this data directory. */
export async function programOptionsFor(
  directory: string,
  options: Limits & { superuser?: boolean } = {},
): Promise<string> {
  const version = parseInt(await readFile(join(directory, 'PG_VERSION'), 'utf8').catch(() => ''));
  return programOptions({ ...options, ...(version > 0 ? { version } : {}) });
}

/**
 * Names in our own SQL are PostgreSQL's: nothing that somebody made in another schema is ever run in its place. Source:
 * CVE-2018-1058.
 */
const safePath = 'set search_path = pg_catalog, pg_temp';

/** What a server says of itself and of a session while it opens it. */
interface Reported {
  version?: number;
  superuser?: boolean;
}
const reported = new WeakMap<pg.Client, Reported>();

/**
 * The rest, once a session is open: what only some versions know, what only superusers may set, and where names are
 * looked up. By SET alone: no function is called, whose catalog may be damaged. `limits`: for a session that took no
 * options at its start.
 */
export async function settle(client: pg.Client, limits?: Limits): Promise<void> {
  const { version, superuser } = reported.get(client) ?? {};
  const settings = {
    ...(limits ? { ...forAll, ...forReading, ...limited(limits) } : {}),
    ...forVersion(version),
    ...(superuser ? forSuperusers(version) : {}),
  };
  await client.query(
    [safePath, ...Object.entries(settings).map(([name, value]) => `set ${name} = '${value}'`)].join('; '),
  );
}

/**
 * Runs what is not ours (the plan's own queries, the functions of an application's indexes) where names mean what they
 * mean to the application: by the path of its database and role.
 */
export async function withTheirPath<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('reset search_path');
  try {
    return await work();
  } finally {
    await client.query(safePath).catch(() => undefined);
  }
}

/**
 * A client of the driver, not connected yet, to whom nothing of this process's environment comes: of what is left out,
 * the driver reads PGSSLMODE, PGOPTIONS, PGPASSWORD and the like.
 */
export function newClient(config: pg.ClientConfig & Limits): pg.Client {
  const { statementTimeout, lockTimeout, ...rest } = config;
  const limits = {
    ...(statementTimeout === undefined ? {} : { statementTimeout }),
    ...(lockTimeout === undefined ? {} : { lockTimeout }),
  };
  const client = new pg.Client({
    ssl: false,
    application_name: 'lifeboat',
    options: sessionOptions(limits),
    ...rest,
  });
  // A connection that is cut (we end sessions for a living) must not end this process.
  client.on('error', () => undefined);
  if (config.password === undefined) (client as { password: unknown }).password = null;
  const said: Reported = {};
  reported.set(client, said);
  const { connection } = client as unknown as { connection: EventEmitter };
  connection.on(
    'parameterStatus',
    ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
      if (parameterName === 'server_version') said.version = parseInt(parameterValue);
      if (parameterName === 'is_superuser') said.superuser = parameterValue === 'on';
    },
  );
  return client;
}
