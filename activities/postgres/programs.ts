import { constants } from 'node:fs';
import { access, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../errors.js';
import { run } from '../run.js';

/** PostgreSQL's client programs on this host, of whichever version serves a database that may be elsewhere. */
export interface Programs {
  directory: string;
  /** `15.18`, as pg_dump --version says it. */
  version: string;
}

/** Folders of one version each, by packager: Debian, PGDG's RPMs, Homebrew. */
const versioned = [
  { parent: '/usr/lib/postgresql', name: /^\d+$/, folder: 'bin' },
  { parent: '/usr', name: /^pgsql-\d+$/, folder: 'bin' },
  { parent: '/opt/homebrew/opt', name: /^postgresql@\d+$/, folder: 'bin' },
];

/**
 * The programs of version `major` on this host; where it has none of that, the nearest newer ones: pg_dump refuses a
 * server that is newer than itself, pg_restore an archive that is, and what newer ones write an older server need not
 * understand. `preferred`: the plan's own choice, among equals. `needed`: programs that must be there. Throws
 * ToolMissing. Source: PostgreSQL manual, pg_dump, "Notes".
 */
export async function programsFor(major: number, needed: string[], preferred?: string): Promise<Programs> {
  const found: Programs[] = [];
  for (const directory of await candidates(preferred)) {
    if (!(await has(directory, needed))) continue;
    const { stdout } = await run(join(directory, needed[0]!), ['--version']).catch(() => ({ stdout: '' }));
    const version = /\(PostgreSQL\) (\d+(?:\.\d+)*)/.exec(stdout)?.[1];
    if (version && parseInt(version) === major) return { directory, version };
    if (version && parseInt(version) > major) found.push({ directory, version });
  }
  // The sort is stable: the plan's choice comes first of its version.
  const [nearest] = found.sort((a, b) => parseInt(a.version) - parseInt(b.version));
  if (nearest) return nearest;
  throw failure(
    'ToolMissing',
    `${needed.join(', ')} of PostgreSQL ${major} or newer is not on this host`,
    `Install it (Debian: postgresql-client-${major}${needed.includes('initdb') ? `, postgresql-${major}` : ''}), then retry.`,
  );
}

async function candidates(preferred: string | undefined): Promise<string[]> {
  const directories = preferred ? [preferred] : [];
  for (const { parent, name, folder } of versioned) {
    const names = await readdir(parent).catch((): string[] => []);
    directories.push(...names.filter((one) => name.test(one)).map((one) => join(parent, one, folder)));
  }
  return [...new Set([...directories, ...(process.env['PATH'] ?? '').split(':').filter(Boolean)])];
}

async function has(directory: string, programs: string[]): Promise<boolean> {
  const there = await Promise.all(
    programs.map(async (program) => {
      const path = join(directory, program);
      try {
        await access(path, constants.X_OK);
        // Debian's /usr/bin/pg_dump and friends run whichever version its own files name for a server: what it says of
        // itself holds for no other call.
        return !(await realpath(path)).endsWith('/pg_wrapper');
      } catch {
        return false;
      }
    }),
  );
  return there.every(Boolean);
}
