import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { codeOf, failure } from '../errors.js';
import { readFile, removeTree, writeWhole } from '../files.js';
import { startOf } from '../processes.js';
import { run } from '../run.js';
import { bin, type Cluster, dataOwner } from './cluster.js';
import { closedSocket } from './closed-socket.js';
import { one, withClient } from './connect.js';
import { whoCouldWrite } from './fence-proof.js';
import { postmasterPid } from './server.js';

/** Where a database stood when an incident closed it: what is in its WAL after that is nobody's acknowledged work. */
export interface Closing {
  /** ISO 8601. */
  at: string;
  timeline: number;
  /** Where the restore point ends in the WAL. */
  lsn: string;
  /** The name of the restore point in the WAL, at which a recovery to the latest moment stops. */
  restorePoint: string;
  /** Up to where the WAL after it is Lifeboat's own: nobody else could get in. Absent: the restore point. */
  ours?: string;
  /** The server that ran closed then. As long as it is that one which runs closed, nobody has been there. */
  postmaster?: string;
}

const file = (cluster: Cluster, incident: string) =>
  join(cluster.context.state, `closing-${cluster.database}-${incident}.json`);

/** Undefined when the incident has not closed the database, or could not mark it in its WAL (a server that is down). */
export async function readClosing(cluster: Cluster, incident: string): Promise<Closing | undefined> {
  const text = await readFile(file(cluster, incident), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Closing);
}

const writeClosing = (cluster: Cluster, incident: string, closing: Closing): Promise<void> =>
  writeWhole(file(cluster, incident), JSON.stringify(closing), { what: 'noting where it was closed' });

/**
 * The database is open again, or another one stands in its place: where it was closed, by whichever incident, says
 * nothing any more.
 */
export async function removeClosings(cluster: Cluster): Promise<void> {
  for (const path of await closings(cluster)) await removeTree(path);
}

async function closings({ context, database }: Cluster): Promise<string[]> {
  const names = await readdir(context.state).catch((): string[] => []);
  return names
    .filter((name) => name.startsWith(`closing-${database}-`) && name.endsWith('.json'))
    .map((name) => join(context.state, name));
}

/**
 * Who runs on its private socket alone, told from whoever gets the same PID later; undefined when nobody does, or
 * something of an extension with it.
 */
async function closedPostmaster(cluster: Cluster): Promise<string | undefined> {
  const pid = (await closedSocket(cluster)) && (await postmasterPid(cluster.dataDirectory));
  if (!pid) return undefined;
  const workers = await withClient(cluster, { database: 'postgres' }, whoCouldWrite).catch(() => undefined);
  return workers?.every(({ own }) => own) ? `${pid} ${await startOf(pid)}` : undefined;
}

/**
 * Marks in the WAL of a server that was just closed where acknowledged work ends, and sees that the mark is archived.
 * Idempotent. A server that cannot be marked (wal_level minimal, in recovery) is left without: a recovery then goes to
 * the end of its WAL.
 * Source: PostgreSQL manual, pg_create_restore_point and recovery_target_name.
 */
export async function markClosing(cluster: Cluster, incident: string): Promise<void> {
  if (await readClosing(cluster, incident)) return;
  // An earlier incident closed it and it was not opened since: what was written after that mark is nobody's either, the
  // earlier assessment's included.
  const [earlier] = await closings(cluster);
  if (earlier !== undefined)
    return writeClosing(cluster, incident, JSON.parse(await readFile(earlier, 'utf8')) as Closing);
  // At most 63 bytes, and never the same twice: a recovery stops at the first of its name.
  const restorePoint = `lifeboat-${incident.slice(-40)}-${Date.now()}`;
  const postmaster = await closedPostmaster(cluster);
  await withClient(cluster, { database: 'postgres' }, async (client) => {
    const timeline = Number(await one<number>(client, 'select timeline_id from pg_catalog.pg_control_checkpoint()'));
    await checkpoint('before the restore point');
    const lsn = await one<string>(client, 'select pg_catalog.pg_create_restore_point($1)::text', [restorePoint]).catch(
      (error: unknown) => {
        // 55000: not in a state for it.
        if (codeOf(error) === '55000') return undefined;
        throw error;
      },
    );
    if (!lsn) return;
    // The record is only sure to be on disk, and archived, when its segment is.
    await client.query('select pg_catalog.pg_switch_wal()');
    await checkpoint('after the restore point');
    await writeClosing(cluster, incident, {
      at: new Date().toISOString(),
      timeline,
      lsn,
      restorePoint,
      ...(postmaster ? { postmaster } : {}),
    });
  });
}

/**
 * What was written since the closing is Lifeboat's own, as long as the server has a private socket alone. Call when a
 * step that writes is done.
 */
export async function noteOwnWrites(cluster: Cluster, incident: string): Promise<void> {
  const closing = await readClosing(cluster, incident);
  // Of another server than the one that was closed nobody knows who else wrote there.
  const postmaster = closing?.postmaster !== undefined && (await closedPostmaster(cluster)) === closing.postmaster;
  if (!closing || !postmaster) return;
  // A record of its own: the end of what was written lies in a file that may not be there yet.
  const ours = await withClient(cluster, { database: 'postgres' }, (client) =>
    one<string>(client, `select pg_catalog.pg_create_restore_point('lifeboat looked')::text`),
  ).catch(() => undefined);
  if (ours) await writeClosing(cluster, incident, { ...closing, ours });
}

/**
 * How many transactions were committed in the data directory after it was closed and beside Lifeboat's own: somebody
 * started the server in another way, or got in through a fence that could not be a private socket. Undefined when
 * nobody can tell: it was not marked, or that WAL is gone.
 * Source: PostgreSQL manual, pg_waldump.
 */
export async function commitsBehind(
  cluster: Cluster,
  incident: string,
  directory = cluster.dataDirectory,
): Promise<number | undefined> {
  const closing = await readClosing(cluster, incident);
  if (!closing) return undefined;
  if (closing.postmaster !== undefined && (await closedPostmaster(cluster)) === closing.postmaster) return 0;
  const found = { commits: 0, gone: false };
  await run(
    await bin(cluster, 'pg_waldump', directory),
    [
      '-p',
      join(directory, 'pg_wal'),
      '-t',
      String(closing.timeline),
      '-s',
      closing.ours ?? closing.lsn,
      '-r',
      'Transaction',
    ],
    {
      owner: await dataOwner(cluster),
      // 1: it came to the end of the WAL.
      accept: [1],
      discard: true,
      onLine: (line) => {
        if (/ desc: COMMIT/.test(line)) found.commits += 1;
        if (/could not (find|open) file/.test(line)) found.gone = true;
      },
    },
  );
  return found.gone ? undefined : found.commits;
}

/**
 * Throws WrittenBehindFence when more was committed since the closing than the person who approved was told, or nobody
 * can tell how much. `told`: what that person knows of; null: that it is not known.
 */
export async function demandNothingBehind(cluster: Cluster, incident: string, told: number | null): Promise<void> {
  if (told === null || !(await readClosing(cluster, incident))) return;
  const behind = (await commitsBehind(cluster, incident)) ?? null;
  if (behind !== null && behind <= told) return;
  throw failure(
    'WrittenBehindFence',
    behind === null
      ? `the server of ${cluster.database} was started by somebody else after it was closed, and what was committed there cannot be told`
      : `${behind} transactions were committed in ${cluster.database} after it was closed: they are not in the restored copy`,
    'Nothing was moved. They stay with the old data: approve with that in mind, or restore again.',
    { behind },
  );
}
