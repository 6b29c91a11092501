import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
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
 * The newest programs on this host that are not older than `major`: pg_dump refuses a server that is newer than itself, and pg_restore an archive
 * that is. `needed`: programs that must be there. Throws ToolMissing.
 * Source: PostgreSQL manual, pg_dump, "Notes".
 */
export async function programsFor(major: number, needed: string[], preferred?: string): Promise<Programs> {
  const found: Programs[] = [];
  for (const directory of await candidates(preferred)) {
    if (!(await has(directory, needed))) continue;
    const { stdout } = await run(join(directory, needed[0]!), ['--version']).catch(() => ({ stdout: '' }));
    const version = /\(PostgreSQL\) (\d+(?:\.\d+)*)/.exec(stdout)?.[1];
    if (version && parseInt(version) >= major) found.push({ directory, version });
    // The plan's own choice needs no comparison.
    if (version && directory === preferred && parseInt(version) >= major) break;
  }
  const best = found.find(({ directory }) => directory === preferred) ?? found.sort((a, b) => parseInt(b.version) - parseInt(a.version))[0];
  if (best) return best;
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
    programs.map((program) =>
      access(join(directory, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return there.every(Boolean);
}
