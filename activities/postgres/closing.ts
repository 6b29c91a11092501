import { join } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { codeOf } from '../errors.js';
import { readFile, removeTree, writeWhole } from '../files.js';
import { run } from '../run.js';
import { bin, type Cluster, dataOwner } from './cluster.js';
import { closedSocket } from './closed-socket.js';
import { one, withClient } from './connect.js';

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
}

const file = (cluster: Cluster, incident: string) => join(cluster.context.state, `closing-${cluster.database}-${incident}.json`);

/** Undefined when the incident has not closed the database, or could not mark it in its WAL (a server that is down). */
export async function readClosing(cluster: Cluster, incident: string): Promise<Closing | undefined> {
  const text = await readFile(file(cluster, incident), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Closing);
}

const writeClosing = (cluster: Cluster, incident: string, closing: Closing): Promise<void> =>
  writeWhole(file(cluster, incident), JSON.stringify(closing), { what: 'noting where it was closed' });

/** The database is open again, or another one stands in its place: where it was closed says nothing any more. */
export const removeClosing = (cluster: Cluster, incident: string): Promise<void> => removeTree(file(cluster, incident));

/**
 * Marks in the WAL of a server that was just closed where acknowledged work ends, and sees that the mark is archived. Idempotent. A server that
 * cannot be marked (wal_level minimal, in recovery) is left without: a recovery then goes to the end of its WAL.
 * Source: PostgreSQL manual, pg_create_restore_point and recovery_target_name.
 */
export async function markClosing(cluster: Cluster, incident: string): Promise<void> {
  if (await readClosing(cluster, incident)) return;
  // A name in the WAL has at most 63 bytes.
  const restorePoint = `lifeboat-${incident}`.slice(0, 63);
  await withClient(cluster, { database: 'postgres' }, async (client) => {
    const timeline = Number(await one<number>(client, 'select timeline_id from pg_catalog.pg_control_checkpoint()'));
    await checkpoint('before the restore point');
    const lsn = await one<string>(client, 'select pg_catalog.pg_create_restore_point($1)::text', [restorePoint]).catch((error: unknown) => {
      // 55000: not in a state for it.
      if (codeOf(error) === '55000') return undefined;
      throw error;
    });
    if (!lsn) return;
    // The record is only sure to be on disk, and archived, when its segment is.
    await client.query('select pg_catalog.pg_switch_wal()');
    await checkpoint('after the restore point');
    await writeClosing(cluster, incident, { at: new Date().toISOString(), timeline, lsn, restorePoint });
  });
}

/** What was written since the closing is Lifeboat's own, as long as the server has a private socket alone. Call when a step that writes is done. */
export async function noteOwnWrites(cluster: Cluster, incident: string): Promise<void> {
  const closing = await readClosing(cluster, incident);
  if (!closing || !(await closedSocket(cluster))) return;
  // A record of its own: the end of what was written lies in a file that may not be there yet.
  const ours = await withClient(cluster, { database: 'postgres' }, (client) =>
    one<string>(client, `select pg_catalog.pg_create_restore_point('lifeboat looked')::text`),
  ).catch(() => undefined);
  if (ours) await writeClosing(cluster, incident, { ...closing, ours });
}

/**
 * How many transactions were committed in the data directory after it was closed and beside Lifeboat's own: somebody started the server in another
 * way, or got in through a fence that could not be a private socket. Undefined when nobody can tell: it was not marked, or that WAL is gone.
 * Source: PostgreSQL manual, pg_waldump.
 */
export async function commitsBehind(cluster: Cluster, incident: string, directory = cluster.dataDirectory): Promise<number | undefined> {
  const closing = await readClosing(cluster, incident);
  if (!closing) return undefined;
  const found = { commits: 0, gone: false };
  await run(
    await bin(cluster, 'pg_waldump', directory),
    ['-p', join(directory, 'pg_wal'), '-t', String(closing.timeline), '-s', closing.ours ?? closing.lsn, '-r', 'Transaction'],
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
