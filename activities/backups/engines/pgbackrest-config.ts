import { join } from 'node:path';
import { physicalOf } from '../../../plan/access.js';
import { secretOf } from '../../context.js';
import { codeOf, failure } from '../../errors.js';
import { makeDirectory, ownFor, writeWhole } from '../../files.js';
import { type Cluster, dataOwner, passwordOf } from '../../postgres/cluster.js';
import { readKnown } from '../../postgres/known-configuration.js';
import { inTurn } from '../../in-turn.js';
import { whoHasOpen } from '../../processes.js';
import { run, type RunOptions, type RunResult } from '../../run.js';
import { programOptionsFor } from '../../postgres/session.js';
import { noSftp, repositoryOf, takesSftp } from './pgbackrest-repositories.js';

/**
 * Driving pgBackRest: its configuration is written from the plan, never by hand. Source:
 * pgbackrest.org/configuration.html
 */

export const home = (cluster: Cluster) => join(cluster.context.state, 'pgbackrest');
export const configFile = (cluster: Cluster): string =>
  join(home(cluster), `${cluster.database}${cluster.only ? `-only-${cluster.only}` : ''}.conf`);

/** The place of a location in the plan is its number, whichever of them a configuration names: the first is repo1. */
export const repoNumber = (cluster: Cluster, location: string): number =>
  physicalOf(cluster.plan).locations.indexOf(location) + 1;

/** `--repo=N`. Throws BadRequest for a location that the installed pgBackRest has no words for. */
export async function repo(cluster: Cluster, location: string): Promise<string> {
  const plan = cluster.context.plan.locations[location]!;
  if (plan.sftp && !takesSftp(await version(cluster)))
    throw noSftp(location, plan, cluster.context.host, await version(cluster));
  return `--repo=${repoNumber(cluster, location)}`;
}

export async function version(cluster: Cluster): Promise<string> {
  const { stdout } = await run('pgbackrest', ['version'], { owner: await dataOwner(cluster) });
  return stdout.replace(/^pgBackRest\s*/, '').trim();
}

/**
 * Writes the configuration, readable by the owner of the data alone since it holds the passphrases. Returns its path.
 */
export function writeConfig(
  cluster: Cluster,
  { file = configFile(cluster), locations = allOf(cluster) }: { file?: string; locations?: string[] } = {},
): Promise<string> {
  return inTurn(`configuration in ${home(cluster)}`, () => write(cluster, file, locations));
}

async function write(cluster: Cluster, file: string, locations: string[]): Promise<string> {
  const owner = await dataOwner(cluster);
  const { context, plan } = cluster;
  for (const part of ['log', 'lock', 'spool']) {
    await makeDirectory(home(cluster), owner, 0o755);
    await makeDirectory(join(home(cluster), part), owner, 0o750);
  }
  await ownFor(home(cluster), owner);
  const repos: string[] = [];
  for (const name of locations) {
    const location = context.plan.locations[name]!;
    if (location.sftp && !takesSftp(await version(cluster))) continue;
    const { options, files } = await repositoryOf(name, location, (reference) => secretOf(context, reference));
    for (const [option, text] of Object.entries(files)) {
      options[option] = join(home(cluster), `${name}.${option}`);
      await writeWhole(options[option], text, { owner, mode: 0o600 });
    }
    // Which backups go is decided by the plan (retention.ts), and WAL by the newest full ones that it keeps.
    options['retention-full'] = '9999999';
    options['retention-archive'] = String(physicalOf(plan).keep.full);
    for (const [option, value] of Object.entries(options))
      repos.push(`repo${repoNumber(cluster, name)}-${option}=${value}`);
  }
  const text = [
    '# Written by Lifeboat from the plan; changes made here are lost.',
    '[global]',
    ...repos,
    `log-path=${join(home(cluster), 'log')}`,
    `lock-path=${join(home(cluster), 'lock')}`,
    `spool-path=${join(home(cluster), 'spool')}`,
    'log-level-file=off',
    'log-level-console=info',
    'start-fast=y',
    'process-max=2',
    'compress-type=zst',
    ...questions,
    ...(locations.length > 1 ? manyLocations : []),
    `[${cluster.stanza}]`,
    `pg1-path=${await servedAs(cluster)}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDirectory}`,
    `pg1-user=${plan.postgres.user}`,
    `pg1-database=postgres`,
    '',
  ].join('\n');
  await writeWhole(file, text, { owner, mode: 0o600 });
  return file;
}

/**
 * The data directory as its server says it: pgBackRest compares the two as text, and would refuse another name of the
 * same directory.
 */
async function servedAs(cluster: Cluster): Promise<string> {
  const known = await readKnown(cluster);
  return known?.real === cluster.dataDirectory ? known.dataDirectory : (cluster.named ?? cluster.dataDirectory);
}

export const allOf = (cluster: Cluster) =>
  physicalOf(cluster.plan).locations.filter((name) => !cluster.only || name === cluster.only);

/**
 * When one of several locations is away, archive-push still pushes a segment to the others, then fails, and PostgreSQL
 * tries that segment again until it is everywhere: a success would be a hole at the location that comes back. One after
 * the other, all later segments would wait for that, and nothing would be archived anywhere. Asynchronously, pgBackRest
 * goes through all the segments that are ready each time, so the others have them all; PostgreSQL keeps them in pg_wal
 * meanwhile, and the alert is that archiving fails.
 * Source: pgbackrest.org/user-guide.html, "Multiple Repositories" and "Asynchronous Archiving".
 */
const manyLocations = [
  // One that is away is waited for eight times this many seconds with each attempt (tried), and the others wait with
  // it.
  ...['[global:archive-get]', 'io-timeout=4'],
  ...['[global:archive-push]', 'io-timeout=4', 'archive-async=y'],
];

/**
 * What only asks a location waits for one that is away four times this many seconds (tried: two addresses, two files);
 * the default of 60 s would be four minutes. What moves backups keeps the default: a slow store is not one that is
 * away.
 */
const questions = ['info', 'repo-ls', 'repo-get', 'stanza-create'].flatMap((command) => [
  `[global:${command}]`,
  'io-timeout=4',
]);

/**
 * Runs pgBackRest for a database as the owner of its data. Throws ToolMissing, CommandFailed, and Busy when another one
 * holds its lock.
 */
export async function pgbackrest(
  cluster: Cluster,
  args: string[],
  options: RunOptions = {},
  config?: string,
): Promise<RunResult> {
  const file = config ?? (await writeConfig(cluster));
  const password = await passwordOf(cluster);
  const command = [`--config=${file}`, `--stanza=${cluster.stanza}`, ...args];
  const more = {
    owner: await dataOwner(cluster),
    ...options,
    env: {
      PGOPTIONS: await programOptionsFor(cluster.dataDirectory),
      ...(password ? { PGPASSWORD: password } : {}),
      ...options.env,
    },
  };
  for (const end = Date.now() + lockMilliseconds; ;) {
    try {
      return await run('pgbackrest', command, more);
    } catch (error) {
      if (Number(codeOf(error)) !== lockHeld) throw error;
      if (Date.now() > end) throw await busy(cluster);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/**
 * The exit code of pgBackRest that could not get its lock. Source: pgBackRest's src/build/error/error.yaml,
 * lock-acquire.
 */
const lockHeld = 50;
/** The lock lies with our state, so it is one of ours that holds it, and one that comes to its end. */
const lockMilliseconds = 120_000;

async function busy(cluster: Cluster): Promise<Error> {
  const holders = await whoHasOpen(join(home(cluster), 'lock'));
  return failure(
    'Busy',
    `another pgBackRest works on the backups of ${cluster.database}: ${holders.join('; ') || 'nobody can tell which'}`,
    'Let it come to its end, or end it if it hangs; then retry.',
  );
}

/** The command by which PostgreSQL archives: no secret is in it. */
export const archiveCommand = (cluster: Cluster): string =>
  `pgbackrest --config=${configFile(cluster)} --stanza=${cluster.stanza} archive-push %p`;
export const restoreCommand = (cluster: Cluster): string =>
  `pgbackrest --config=${configFile(cluster)} --stanza=${cluster.stanza} archive-get %f "%p"`;
