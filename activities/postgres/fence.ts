import { realpath, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { exists, move, readFile, writeWhole } from '../files.js';
import { run } from '../run.js';
import { closedSocket } from './closed-socket.js';
import { bin, type Cluster, dataOwner } from './cluster.js';
import { one, withClient } from './connect.js';
import { postmasterPid } from './server.js';

/**
 * Closes a database to everyone but Lifeboat by putting another pg_hba.conf in place: that needs no catalog that may be
 * damaged, holds for superusers too, and still holds when the server is started again by whomever. fence-proof.ts
 * proves it.
 */

const openedName = (hba: string) => `${hba}.lifeboat-open`;
const heading = '# Closed by Lifeboat for incident';

/**
 * Where the server of a directory reads pg_hba.conf. One that runs says it itself: it may have been started with
 * another. Where settings cannot be read (which may be why it does not start), the place that it has by default.
 */
export async function hbaFile(cluster: Cluster, directory = cluster.dataDirectory): Promise<string> {
  if (directory === cluster.dataDirectory && (await postmasterPid(directory))) {
    const said = await withClient(cluster, { database: 'postgres' }, (client) =>
      one<string>(client, `select current_setting('hba_file')`),
    ).catch(() => undefined);
    if (said) return fileBehind(said);
  }
  const { configFile } = cluster.plan.postgres;
  const { code, stdout } = await run(
    await bin(cluster, 'postgres', directory),
    [
      '-C',
      'hba_file',
      '-D',
      directory,
      ...(configFile ? ['-c', `config_file=${configFile}`, '-c', `data_directory=${directory}`] : []),
    ],
    { owner: await dataOwner(cluster), accept: [1, 2], timeout: 60_000 },
  );
  const byDefault = join(configFile ? dirname(configFile) : directory, 'pg_hba.conf');
  return fileBehind(code === 0 ? inDirectory(cluster, directory, stdout.trim().split('\n').at(-1)!) : byDefault);
}

/** A copy whose configuration names a file in production's directory has its own, which will be that file. */
function inDirectory({ dataDirectory, named }: Cluster, directory: string, path: string): string {
  const of = [dataDirectory, named].find((one) => one !== undefined && path.startsWith(`${one}/`));
  return of === undefined ? path : join(directory, relative(of, path));
}

/** What is a link stays one: the file that it leads to is closed. */
const fileBehind = (path: string) => realpath(path).catch(() => path);

/**
 * True while an incident has closed the database, or left it so: its server runs on its private socket, or the file
 * that lets nobody in is in its place. Either is enough. Of a server that is down only the file tells; and one that
 * listens on the private socket stays closed when somebody's configuration management writes over the file. Whoever
 * needs to know that nobody can write now, or where to connect, asks for the socket alone (closed-socket.ts): a server
 * that is closed by the file can still be reached by its superuser.
 */
export async function isClosed(cluster: Cluster): Promise<boolean> {
  return (
    (await closedSocket(cluster)) !== undefined ||
    isFence(await readFile(await hbaFile(cluster), 'utf8').catch(() => ''))
  );
}

const isFence = (text: string) => text.startsWith(heading);

/** Of a pg_hba.conf that is closed, the file as it was before; undefined when it is not closed. */
export async function keptOpen(hba: string, text: string): Promise<string | undefined> {
  return isFence(text) ? readFile(openedName(hba), 'utf8') : undefined;
}

/**
 * Puts the closed pg_hba.conf in place; what was there is kept beside it. Done twice, it is done once. What is there
 * and is no fence is the current one, whatever an earlier incident kept: that is moved aside, and today's is what comes
 * back.
 */
export async function putFence(cluster: Cluster, incident: string, directory = cluster.dataDirectory): Promise<void> {
  const hba = await hbaFile(cluster, directory);
  // Nothing of a data directory is there: nobody can start it.
  if (hba.startsWith(`${directory}/`) && !(await exists(join(directory, 'PG_VERSION')))) return;
  const opened = openedName(hba);
  const owner = await dataOwner(cluster);
  const now = await readFile(hba, 'utf8');
  const kept = await readFile(opened, 'utf8').catch(() => undefined);
  if (!isFence(now) && kept !== now) {
    if (kept !== undefined)
      await move(
        opened,
        `${opened}.${new Date().toISOString().replace(/[:.]/g, '')}`,
        'moving an older pg_hba.conf aside',
      );
    // It comes back with the mode that it has: others may have to read it.
    await writeWhole(opened, now, { owner, mode: (await stat(hba)).mode & 0o777, what: 'keeping pg_hba.conf' });
  }
  if (isFence(now) && kept === undefined) throw nothingKept(cluster, hba);
  const text = [
    `${heading} ${incident}. The file as it was: ${openedName(hba)}`,
    `# To open it by hand: put that file back in this one's place, stop the server (pg_ctl stop), and start it as usual: it listens on a private socket.`,
    ...ownWays(cluster, await readFile(openedName(hba), 'utf8')),
    'local all all reject',
    'host all all all reject',
    'host replication all all reject',
    '',
  ].join('\n');
  await writeWhole(hba, text, { owner, mode: 0o600, what: 'closing pg_hba.conf' });
}

/**
 * The lines by which Lifeboat's own user gets in over the socket today, for that user alone: a method of our own choice
 * (a password hash of another kind, a peer map that is not named) could lock us out too.
 */
function ownWays(cluster: Cluster, opened: string): string[] {
  const { user, password } = cluster.plan.postgres;
  const names = (field: string) => field.split(',').map((name) => name.replaceAll('"', ''));
  const ways = opened.split('\n').flatMap((line) => {
    const [, databases, users, how] = /^\s*local\s+(\S+)\s+(\S+)\s+([^#]+)/.exec(line) ?? [];
    if (!databases || !users || !how || how.trim().startsWith('reject')) return [];
    return names(databases).includes('all') && names(users).some((name) => name === 'all' || name === user)
      ? [`local all "${user}" ${how.trim()}`]
      : [];
  });
  // md5 takes a SCRAM hash as well as an MD5 one.
  return ways.length > 0 ? ways.slice(0, 1) : [`local all "${user}" ${password ? 'md5' : 'peer'}`];
}

/** Puts back the pg_hba.conf as it was before the fence. Done twice, it is done once. */
export async function liftFence(cluster: Cluster, directory = cluster.dataDirectory): Promise<void> {
  const hba = await hbaFile(cluster, directory);
  const opened = openedName(hba);
  const kept = await readFile(opened, 'utf8').catch(() => undefined);
  if (kept !== undefined && kept.trim() !== '') await move(opened, hba, 'lifting the fence');
  else if (isFence(await readFile(hba, 'utf8'))) throw nothingKept(cluster, hba);
  await reload(directory);
}

export async function reload(directory: string): Promise<void> {
  const pid = await postmasterPid(directory);
  if (!pid) return;
  process.kill(pid, 'SIGHUP');
  await checkpoint('after the reload');
}

const nothingKept = (cluster: Cluster, hba: string) =>
  failure(
    'FenceFailed',
    `${hba} is closed, and the file as it was before is not beside it any more`,
    `Write a pg_hba.conf there on ${cluster.context.host}, then: lifeboat decide retry`,
  );
