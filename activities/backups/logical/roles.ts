import type pg from 'pg';
import { checkpoint } from '../../checkpoint.js';

/** What pg_dumpall --globals-only wrote, and what of it a server lacks. */

/** Cuts a script into its statements: quoted names, texts and comments may hold anything. */
function statementsOf(script: string): string[] {
  const statements: string[] = [];
  let start = 0;
  const tokens = /--[^\n]*|E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|;/gs;
  for (const match of script.matchAll(tokens)) {
    if (match[0] !== ';') continue;
    statements.push(script.slice(start, match.index).replace(/^(\s+|--[^\n]*\n|\\[^\n]*\n)+/, ''));
    start = match.index + 1;
  }
  return statements.filter(Boolean);
}

const name = String.raw`("(?:[^"]|"")*"|[^\s",;]+)`;
const unquoted = (text: string): string => (text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);

function named(pattern: string, statement: string): string[] | undefined {
  const match = new RegExp(`^${pattern}`, 's').exec(statement);
  return match ? match.slice(1).map((one) => unquoted(one)) : undefined;
}

export interface Globals {
  roles: string[];
  tablespaces: string[];
  statements: string[];
}

export function readGlobals(script: string): Globals {
  const statements = statementsOf(script);
  return {
    statements,
    roles: statements.flatMap((one) => named(`CREATE ROLE ${name}`, one) ?? []),
    tablespaces: statements.flatMap((one) => named(`CREATE TABLESPACE ${name}`, one)?.slice(0, 1) ?? []),
  };
}

/**
 * The statements that make the missing roles what they were. Nothing of a role that is there is altered, but that a
 * missing one becomes its member.
 */
export function missingRoleStatements({ statements }: Globals, missing: Set<string>): string[] {
  return statements.filter((statement) => {
    const role = named(`(?:CREATE|ALTER) ROLE ${name}`, statement) ?? named(`COMMENT ON ROLE ${name}`, statement);
    // Settings of a role in one database are that database's, which is dressed by its own record.
    if (role)
      return missing.has(role[0]!) && !/ IN DATABASE /.test(statement.replace(/"(?:[^"]|"")*"|'(?:[^']|'')*'/g, ''));
    const grant = named(`GRANT ${name} TO ${name}`, statement);
    return grant !== undefined && grant.some((one) => missing.has(one));
  });
}

export async function rolesOf(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ rolname: string }>('select rolname from pg_roles');
  return new Set(rows.map(({ rolname }) => rolname));
}

/** Makes the roles that are missing on a server, all or none. Returns their names. */
export async function makeMissingRoles(client: pg.Client, globals: Globals): Promise<string[]> {
  const there = await rolesOf(client);
  const missing = new Set(globals.roles.filter((role) => !there.has(role)));
  if (missing.size === 0) return [];
  await checkpoint('before making roles');
  await client.query('begin');
  try {
    for (const statement of missingRoleStatements(globals, missing)) await client.query(withoutGrantor(statement));
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
  await checkpoint('after making roles');
  return [...missing];
}

/** Who granted a membership may have another name here; whoever restores grants it. */
const withoutGrantor = (statement: string): string =>
  statement.startsWith('GRANT ') ? statement.replace(new RegExp(` GRANTED BY ${name}$`, 's'), '') : statement;

/**
 * Whether the server has every tablespace that the globals name: otherwise tables go where the server puts them by
 * itself.
 */
export async function hasTablespaces(client: pg.Client, { tablespaces }: Globals): Promise<boolean> {
  const { rows } = await client.query<{ spcname: string }>('select spcname from pg_tablespace');
  return tablespaces.every((one) => rows.some(({ spcname }) => spcname === one));
}
