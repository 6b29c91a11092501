import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Tools from '../scripts/tools.mjs';
import { checkout } from './root.js';

/** One search for tools, shared with the set-up script: that one is plain JavaScript and is not copied into dist/. */
const tools = (await import(pathToFileURL(join(checkout, 'scripts', 'tools.mjs')).href)) as typeof Tools;

/** The absolute path of a program such as `initdb`, `pgbackrest`, `temporal`. */
export function tool(name: string): string {
  const path = tools.findTool(name);
  if (!path) throw new Error(`${name} was not found on this machine. Run: npm run setup`);
  return path;
}

/** The same, and undefined when it is not on this machine. */
export const findTool = (name: string): string | undefined => tools.findTool(name);

/**
 * The programs of PostgreSQL 17, which the set-up keeps for tests apart from all others; undefined when it could not
 * get them.
 */
export function newerPostgres(): string | undefined {
  const directory = join(tools.newerPostgresDirectory(), 'bin');
  return existsSync(join(directory, 'pg_dump')) ? directory : undefined;
}
