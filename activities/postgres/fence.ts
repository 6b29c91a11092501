import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { hostAddress } from '../../plan/access.js';
import { failure } from '../errors.js';
import { exists, fileBytes, move, writeWhole } from '../files.js';
import { run } from '../run.js';
import { bin, type Cluster, dataOwner } from './cluster.js';
import { connect, withClient } from './connect.js';
import { postmasterPid } from './server.js';

/**
 * Closes a database to everyone but Lifeboat by putting another pg_hba.conf in place: that needs no catalog that may be damaged, holds for
 * superusers too, and still holds when the server is started again by whomever.
 */

const openedName = (hba: string) => `${hba}.lifeboat-open`;

/** Where the server of a directory reads pg_hba.conf, whether it runs or not. */
export async function hbaFile(cluster: Cluster, directory = cluster.dataDirectory): Promise<string> {
  const { configFile } = cluster.plan.postgres;
  const { stdout } = await run(
    await bin(cluster, 'postgres', directory),
    ['-C', 'hba_file', '-D', directory, ...(configFile ? ['-c', `config_file=${configFile}`, '-c', `data_directory=${directory}`] : [])],
    { owner: await dataOwner(cluster) },
  );
  return stdout.trim().split('\n').at(-1)!;
}

export async function isClosed(cluster: Cluster, directory = cluster.dataDirectory): Promise<boolean> {
  return exists(openedName(await hbaFile(cluster, directory)));
}

/** Puts the closed pg_hba.conf in place; what was there is kept beside it. Done twice, it is done once. */
export async function putFence(cluster: Cluster, incident: string, directory = cluster.dataDirectory): Promise<void> {
  const hba = await hbaFile(cluster, directory);
  const owner = await dataOwner(cluster);
  if (!(await exists(openedName(hba)))) await writeWhole(openedName(hba), await readFile(hba, 'utf8'), { owner, mode: 0o600 });
  const method = cluster.plan.postgres.password ? 'scram-sha-256' : 'peer';
  const text = [
    `# Closed by Lifeboat for incident ${incident}. The file as it was: ${openedName(hba)}`,
    `# To open it by hand: put that file back in this one's place and reload the server.`,
    `local all "${cluster.plan.postgres.user}" ${method}`,
    'local all all reject',
    'host all all all reject',
    'host replication all all reject',
    '',
  ].join('\n');
  await writeWhole(hba, text, { owner, mode: 0o600 });
}

/** Puts back the pg_hba.conf as it was before the fence. Done twice, it is done once. */
export async function liftFence(cluster: Cluster, directory = cluster.dataDirectory): Promise<void> {
  const hba = await hbaFile(cluster, directory);
  const opened = openedName(hba);
  if (await exists(opened)) {
    if ((await fileBytes(opened)) === 0) {
      throw failure(
        'FenceFailed',
        `${opened} is empty: nobody could connect with it`,
        `Write a pg_hba.conf on ${cluster.context.host}, then: lifeboat decide retry`,
      );
    }
    await move(opened, hba, 'lifting the fence');
  }
  await reload(directory);
}

export async function reload(directory: string): Promise<void> {
  const pid = await postmasterPid(directory);
  if (pid) process.kill(pid, 'SIGHUP');
}

/** A session that was open before the fence, to prove on it that nothing can be committed any more. */
export async function openProbe(cluster: Cluster): Promise<pg.Client | undefined> {
  return connect(cluster).catch(() => undefined);
}

export interface FenceProof {
  sessionsEnded: number;
  proofs: string[];
}

/**
 * Ends every client session and proves the fence: an existing session can no longer commit, a new one over TCP is refused, and
 * no client session is left. Throws FenceFailed when any of it does not hold.
 */
export async function proveFence(cluster: Cluster, probe: pg.Client | undefined): Promise<FenceProof> {
  const proofs: string[] = [];
  await untilClosed(cluster);
  const sessionsEnded = await endSessions(cluster);
  if (probe) {
    const committed = await probe.query('create temporary table lifeboat_probe()').then(
      () => true,
      () => false,
    );
    if (committed)
      throw failure(
        'FenceFailed',
        'a session that was open before the fence can still write',
        'Find it in pg_stat_activity and end it, then: lifeboat decide retry',
      );
    proofs.push('a session that was open before can no longer write');
  }
  proofs.push(await proveRefused(cluster));
  proofs.push('no client session is left');
  return { sessionsEnded, proofs };
}

/** A reload is asked for by a signal and takes a moment: wait until the server itself reads the closed file. */
async function untilClosed(cluster: Cluster): Promise<void> {
  await withClient(cluster, { database: 'postgres' }, async (client) => {
    for (let left = 100; left > 0; left -= 1) {
      const refused = await proveRefused(cluster).then(
        () => true,
        () => false,
      );
      if (refused) return;
      await client.query('select pg_reload_conf()');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw failure(
      'FenceFailed',
      `${cluster.database} still lets connections in although its pg_hba.conf is closed`,
      'Look for the error in its log (a reload that failed), then: lifeboat decide retry',
    );
  });
}

async function endSessions(cluster: Cluster): Promise<number> {
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    const ended = new Set<number>();
    for (let left = 100; left > 0; left -= 1) {
      const { rows } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
      );
      if (rows.length === 0) return ended.size;
      for (const { pid } of rows) {
        ended.add(pid);
        await client.query('select pg_terminate_backend($1)', [pid]);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw failure(
      'FenceFailed',
      'sessions come back or do not end',
      'Look at pg_stat_activity on the host; end them by hand, then: lifeboat decide retry',
    );
  });
}

/** A connection over TCP, as Lifeboat's own user with its own password, must be refused by pg_hba.conf. */
async function proveRefused(cluster: Cluster): Promise<string> {
  const address = hostAddress(cluster.context.plan, cluster.context.host);
  const client = new pg.Client({
    host: address,
    port: cluster.port,
    user: cluster.plan.postgres.user,
    password: 'not-needed-to-be-refused',
    database: cluster.plan.name,
    connectionTimeoutMillis: 3000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // 28000: pg_hba.conf rejects. 28P01 (wrong password) would mean that the right one lets people in.
    if (code === '28000') return 'a new connection is refused by pg_hba.conf';
    if (code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EHOSTUNREACH')
      return 'it does not listen on the network';
    throw failure(
      'FenceFailed',
      `a new connection was not refused as it should be: ${message}`,
      'Look at pg_hba.conf on the host, then: lifeboat decide retry',
    );
  } finally {
    await client.end().catch(() => undefined);
  }
  throw failure('FenceFailed', 'a new connection was let in', 'Look at pg_hba.conf on the host, then: lifeboat decide retry');
}
