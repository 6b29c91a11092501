/**
 * Where the tools that Lifeboat drives are on this machine. Plain Node, no dependencies: it runs before `npm install`
 * has to have worked. `setup.mjs` installs what is missing; the lab and the tests ask here for absolute paths.
 */
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export const oldestPostgres = 14;

/** The programs of PostgreSQL that are needed, all out of one version. */
export const postgresPrograms = [
  'initdb',
  'postgres',
  'pg_ctl',
  'pg_controldata',
  'pg_basebackup',
  'pg_rewind',
  'pg_amcheck',
  'pg_checksums',
  'pg_waldump',
  'psql',
];

/** Tools that we fetched ourselves are kept here, outside of any checkout. */
export function cacheDirectory() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'lifeboat', 'bin');
}

/** Where the set-up puts PostgreSQL 17, whose programs the tests lay beside an older server. */
export function newerPostgresDirectory() {
  return join(cacheDirectory(), '..', 'postgresql-17');
}

/** The absolute path of a tool, or undefined. */
export function findTool(name) {
  if (postgresPrograms.includes(name)) {
    const directory = postgresDirectory();
    return directory && join(directory, name);
  }
  return [...pathDirectories(), ...packageDirectories, cacheDirectory()]
    .map((directory) => join(directory, name))
    .find(isProgram);
}

/** The directory of the newest PostgreSQL server that has every program needed; one on PATH comes first. */
export function postgresDirectory() {
  const versions = versionedDirectories().sort((a, b) => b.version - a.version);
  const candidates = [
    ...pathDirectories(),
    ...versions.filter((v) => v.version >= oldestPostgres).map((v) => v.directory),
    ...packageDirectories,
  ];
  return candidates.find((directory) => postgresPrograms.every((program) => isProgram(join(directory, program))));
}

/** What is missing of a PostgreSQL that is there, so that the message can say it. */
export function missingPostgresPrograms() {
  const [newest] = versionedDirectories().sort((a, b) => b.version - a.version);
  return newest ? postgresPrograms.filter((program) => !isProgram(join(newest.directory, program))) : postgresPrograms;
}

// Servers such as sshd are in sbin, which an ordinary user's PATH may lack.
const packageDirectories = [
  '/usr/bin',
  '/usr/local/bin',
  '/opt/homebrew/bin',
  '/usr/local/pgsql/bin',
  '/usr/sbin',
  '/usr/local/sbin',
];

function versionedDirectories() {
  return [
    { parent: '/usr/lib/postgresql', name: /^(\d+)$/ },
    { parent: '/usr', name: /^pgsql-(\d+)$/ },
    { parent: '/opt/homebrew/opt', name: /^postgresql@(\d+)$/ },
    { parent: '/usr/local/opt', name: /^postgresql@(\d+)$/ },
  ].flatMap(({ parent, name }) =>
    list(parent)
      .map((entry) => ({ directory: join(parent, entry, 'bin'), version: Number(name.exec(entry)?.[1] ?? 0) }))
      .filter(({ version }) => version > 0),
  );
}

/** node_modules/.bin is left out: a package of the same name is not the tool. */
function pathDirectories() {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((directory) => directory.startsWith('/') && !directory.includes('node_modules'));
}

function list(directory) {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    // Debian's /usr/bin/psql and friends are a wrapper that chooses a cluster of its own.
    return !realpathSync(path).endsWith('/pg_wrapper');
  } catch {
    return false;
  }
}
