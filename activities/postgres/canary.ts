import { checkpoint } from '../checkpoint.js';
import type { Cluster } from './cluster.js';
import { type Client, connect, withClient } from './connect.js';
import { noteBeat } from './last-known.js';
import { type Answered, askRole } from './role.js';

/**
 * The canary: one row, updated every two seconds by the agent of the primary. Its age in a restored copy is the RPO
 * really reached, and its commits are what a point-in-time recovery stops at (on an idle database PostgreSQL refuses a
 * target after the last commit).
 * Source: field-notes, "Canary".
 */
const canaryIntervalSeconds = 2;

/** On this server's own disk, and no more: what it says is how far this server came, and it waits for no standby. */
const setUp = `
  set synchronous_commit = local;
  create schema if not exists lifeboat;
  create table if not exists lifeboat.canary (
    id int primary key check (id = 1), ts timestamptz not null, lsn pg_lsn not null, seq bigint not null
  ) with (fillfactor = 10);
  insert into lifeboat.canary values (1, clock_timestamp(), pg_current_wal_insert_lsn(), 1) on conflict do nothing;
`;
/**
 * What it returns is where the WAL stood before it: all that is on disk when it has committed, whatever else goes on.
 */
const beat = `
  update lifeboat.canary set ts = clock_timestamp(), lsn = pg_current_wal_insert_lsn(), seq = seq + 1 where id = 1
  returning ts, lsn::text, seq::text, pg_walfile_name(pg_current_wal_lsn()) as segment, pg_postmaster_start_time() as "upSince",
            (select system_identifier::text from pg_control_system()) as system
`;

/** Beats, and notes outside of the database how far it is known to have come. */
async function beatAndNote(cluster: Cluster, client: Client): Promise<void> {
  const { rows } = await client.query<{
    ts: Date;
    lsn: string;
    seq: string;
    segment: string;
    upSince: Date;
    system: string;
  }>(beat);
  const row = rows[0];
  if (!row) return;
  const point = {
    ...{ systemIdentifier: row.system, timeline: parseInt(row.segment.slice(0, 8), 16) },
    ...{ lsn: row.lsn, at: row.ts.toISOString(), seq: Number(row.seq) },
  };
  // A full disk below the agent's state says nothing of the database: the canary goes on.
  await noteBeat(cluster, point, row.upSince).catch(() => undefined);
}

export interface CanaryRow {
  /** ISO 8601. */
  ts: string;
  lsn: string;
  seq: number;
}

/** Reads the canary; undefined where there is none. */
export async function readCanary(client: Client): Promise<CanaryRow | undefined> {
  try {
    const { rows } = await client.query<{ ts: Date; lsn: string; seq: string }>(
      'select ts, lsn::text, seq::text from lifeboat.canary',
    );
    const row = rows[0];
    return row && { ts: row.ts.toISOString(), lsn: row.lsn, seq: Number(row.seq) };
  } catch {
    return undefined;
  }
}

/** Creates the canary where it is missing and beats once. Returns it. */
export async function beatOnce(cluster: Cluster): Promise<CanaryRow | undefined> {
  return withClient(cluster, {}, async (client) => {
    await checkpoint('before the canary beats');
    await client.query(setUp);
    await beatAndNote(cluster, client);
    await checkpoint('after the canary beat');
    return readCanary(client);
  });
}

/** Asked anew after this many beats: a server that was promoted or demoted within one session. */
const askedEvery = 15;

/**
 * Keeps the canary alive until `signal` says stop, wherever the database is a primary that may beat. It holds one
 * connection, opens a new one when that was cut, and never lets an error out: a database that is down or closed simply
 * gets no canary. `sees` is told what the server is, whenever it was asked, and says whether it may beat.
 */
export async function keepCanary(
  cluster: Cluster,
  signal: AbortSignal,
  paused: () => Promise<boolean>,
  sees: (now: Answered | undefined) => Promise<boolean>,
): Promise<void> {
  let client: Client | undefined;
  let beats = 0;
  const letGo = async () => {
    await client?.end().catch(() => undefined);
    client = undefined;
    beats = 0;
  };
  while (!signal.aborted) {
    try {
      if (await paused()) await letGo();
      else {
        client ??= await connect(cluster, { statementTimeout: 5000 });
        if (beats % askedEvery === 0) {
          const may = await sees(await askRole(client));
          if (may && beats === 0) await client.query(setUp);
          beats = may ? Math.max(beats, 1) : 0;
        }
        if (beats > 0) {
          await beatAndNote(cluster, client);
          beats += 1;
        }
      }
    } catch {
      await letGo();
      await sees(undefined).catch(() => undefined);
    }
    await pause(canaryIntervalSeconds * 1000, signal);
  }
  await client?.end().catch(() => undefined);
}

/** Waits, and is woken early by the signal. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
  });
}
