import type pg from 'pg';
import type { DatabaseMade } from '../../../vocabulary/backup.js';
import { one, quoteTable } from '../../postgres/connect.js';
import pgModule from 'pg';

/** How a database was made, and what its dump does not say without naming it. */

/** Reads it. `dumpBytes` is known later. */
export async function readMade(client: pg.Client): Promise<Omit<DatabaseMade, 'dumpBytes'>> {
  const { rows } = await client.query<{
    owner: string;
    encoding: string;
    collate: string;
    ctype: string;
    facts: { daticulocale?: string; datlocale?: string; datlocprovider?: string };
    acl: DatabaseMade['grants'] | null;
    tablespace: string;
    connectionlimit: number;
  }>(
    `select pg_get_userbyid(datdba) as owner, datconnlimit as connectionlimit,
       (select spcname from pg_tablespace t where t.oid = d.dattablespace) as tablespace, pg_encoding_to_char(encoding) as encoding, datcollate as collate, datctype as ctype,
       to_jsonb(d) - 'datacl' as facts,
       (select jsonb_agg(jsonb_build_object('grantee', case grantee when 0 then '' else pg_get_userbyid(grantee) end,
                 'privilege', privilege_type, 'grantable', is_grantable)) from aclexplode(d.datacl)) as acl
     from pg_database d where datname = current_database()`,
  );
  const settings = await client.query<{ role: string | null; setting: string }>(
    `select case setrole when 0 then null else pg_get_userbyid(setrole) end as role, unnest(setconfig) as setting
     from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())`,
  );
  const { owner, encoding, collate, ctype, facts, acl, tablespace, connectionlimit } = rows[0]!;
  // Columns of PostgreSQL 15 and 16, and of 17.
  const icu = facts.datlocprovider === 'i' ? (facts.daticulocale ?? facts.datlocale) : undefined;
  return {
    owner,
    encoding,
    collate,
    ctype,
    ...(icu ? { icuLocale: icu } : {}),
    ...(tablespace === 'pg_default' ? {} : { tablespace }),
    ...(connectionlimit < 0 ? {} : { connectionLimit: connectionlimit }),
    settings: settings.rows.map(({ role, setting }) => ({ ...(role === null ? {} : { role }), setting })),
    ...(acl ? { grants: acl } : {}),
  };
}

/**
 * The share of the largest table, with its large values, in the bytes of all: it tells how a restore should load them.
 * Undefined where a table is locked for longer than a moment, or where there is none.
 */
export async function largestShare(client: pg.Client): Promise<number | undefined> {
  await client.query(`set lock_timeout = '3s'`);
  const { rows } = await client
    .query<{ share: number | null }>(
      `select (max(bytes) / nullif(sum(bytes), 0))::float8 as share from (
         select pg_table_size(c.oid) as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where relkind in ('r', 'm') and nspname !~ '^pg_' and nspname <> 'information_schema') of_tables`,
    )
    .catch(() => ({ rows: [] }));
  await client.query('set lock_timeout = 0');
  return rows[0]?.share ?? undefined;
}

const identifier = pgModule.escapeIdentifier;
const literal = pgModule.escapeLiteral;

/** `CREATE DATABASE`, from template0, which alone takes any locale. */
export function createStatement(
  name: string,
  made: Omit<DatabaseMade, 'dumpBytes'> | undefined,
  owner: string | undefined,
): string {
  const options = [
    'TEMPLATE template0',
    ...(owner === undefined ? [] : [`OWNER ${identifier(owner)}`]),
    ...(made
      ? [
          `ENCODING ${literal(made.encoding)}`,
          `LC_COLLATE ${literal(made.collate)}`,
          `LC_CTYPE ${literal(made.ctype)}`,
          ...(made.tablespace === undefined ? [] : [`TABLESPACE ${identifier(made.tablespace)}`]),
          ...(made.icuLocale ? ['LOCALE_PROVIDER icu', `ICU_LOCALE ${literal(made.icuLocale)}`] : []),
        ]
      : []),
  ];
  return `CREATE DATABASE ${identifier(name)} ${options.join(' ')}`;
}

/**
 * What was set and granted on the database, for the one that takes its place. Those of roles that are not there are
 * left out.
 */
export function dressStatements(name: string, made: Omit<DatabaseMade, 'dumpBytes'>, roles: Set<string>): string[] {
  const database = identifier(name);
  const limit = Number.isInteger(made.connectionLimit)
    ? [`ALTER DATABASE ${database} CONNECTION LIMIT ${made.connectionLimit!}`]
    : [];
  const settings = made.settings
    .filter(({ role }) => role === undefined || roles.has(role))
    .map(({ role, setting }) => {
      const at = setting.indexOf('=');
      const parameter = setting.slice(0, at).split('.').map(identifier).join('.');
      const text = setting.slice(at + 1);
      const value = listParameters.has(setting.slice(0, at).toLowerCase()) ? listed(text) : literal(text);
      const what =
        role === undefined ? `ALTER DATABASE ${database}` : `ALTER ROLE ${identifier(role)} IN DATABASE ${database}`;
      return `${what} SET ${parameter} TO ${value === '' ? "''" : value}`;
    });
  const grants = made.grants?.filter(
    ({ grantee, privilege }) => privileges.has(privilege) && (grantee === '' || roles.has(grantee)),
  );
  if (!grants) return [...limit, ...settings];
  return [
    ...limit,
    ...settings,
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    ...grants.map(
      ({ grantee, privilege, grantable }) =>
        `GRANT ${privilege} ON DATABASE ${database} TO ${grantee === '' ? 'PUBLIC' : identifier(grantee)}${grantable && grantee !== '' ? ' WITH GRANT OPTION' : ''}`,
    ),
  ];
}

/**
 * Their values are lists of quoted names already, and a quoted list would be one name. Source: pg_dump,
 * variable_is_guc_list_quote.
 */
const listParameters = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** Each name of it quoted anew: a record that somebody changed must not say what is run. */
const listed = (text: string): string =>
  (text.match(/"(?:[^"]|"")*"|[^\s,"]+/g) ?? [])
    .map((one) => literal(one.startsWith('"') ? one.slice(1, -1).replaceAll('""', '"') : one))
    .join(', ');

const privileges = new Set(['CONNECT', 'CREATE', 'TEMPORARY']);

/**
 * Exact counts of tables, in one transaction: one that is missing or cannot be read is null, and the transaction lives
 * on.
 */
export async function countInTransaction(client: pg.Client, tables: string[]): Promise<Record<string, number | null>> {
  const counts: Record<string, number | null> = {};
  for (const table of tables) {
    await client.query('savepoint counted');
    try {
      counts[table] = Number(await one<string>(client, `select count(*) from ${quoteTable(table)}`));
    } catch {
      counts[table] = null;
      await client.query('rollback to savepoint counted');
    }
  }
  return counts;
}
