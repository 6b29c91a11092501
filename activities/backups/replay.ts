import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { exists, makeDirectory, move, readFile, writeWhole } from '../files.js';
import { type Cluster, dataOwner } from '../postgres/cluster.js';
import { type Client, one } from '../postgres/connect.js';
import type { Scratch } from '../postgres/scratch.js';
import { isSegment } from './wal.js';

/**
 * How a copy is made to wait where its WAL ends, instead of promoting itself there, and how it is seen that it waits.
 */

/**
 * Segments that were found good elsewhere, and what the copy has asked for. Outside of the copy: it is gone when the
 * recovery is over.
 */
export const fillFolder = (cluster: Cluster, scratch: Scratch): string =>
  join(cluster.context.state, `wal-${basename(scratch.socketDirectory)}`);
const askedFile = (cluster: Cluster, scratch: Scratch): string => join(fillFolder(cluster, scratch), 'asked');

/**
 * Prepares a fetched copy to be recovered as a standby does it: at the end of the WAL it asks again and again, until it
 * is promoted. What lies in the folder of {@link fillFolder} comes before the archive. With a restore point it stops
 * exactly there.
 * Source: PostgreSQL manual, "Standby Server Operation"; recovery targets hold with standby.signal, too.
 */
export async function waitAtTheEnd(
  cluster: Cluster,
  scratch: Scratch,
  restorePoint: string | undefined,
): Promise<void> {
  const [recovery, standby] = ['recovery.signal', 'standby.signal'].map((name) => join(scratch.directory, name)) as [
    string,
    string,
  ];
  if (!(await exists(recovery)) && !(await exists(standby))) return;
  const owner = await dataOwner(cluster);
  await makeDirectory(fillFolder(cluster, scratch), owner);
  // A server that starts anew asks anew.
  await rm(askedFile(cluster, scratch), { force: true });
  const file = join(scratch.directory, 'postgresql.auto.conf');
  const text = await readFile(file, 'utf8');
  const command = [...text.matchAll(/^\s*restore_command\s*=\s*'((?:[^']|'')*)'/gm)].at(-1)?.[1] ?? 'false';
  if (!command.includes(basename(fillFolder(cluster, scratch)))) {
    const folder = fillFolder(cluster, scratch).replaceAll('%', '%%');
    const filled = quoted(
      `echo "%f" >> "${folder}/asked"; if [ -f "${folder}/%f" ]; then cp "${folder}/%f" "%p"; else `,
    );
    const lines = [
      `restore_command = '${filled}${command}; fi'`,
      ...(restorePoint ? [`recovery_target_name = '${quoted(restorePoint)}'`, `recovery_target_action = 'pause'`] : []),
    ];
    await writeWhole(file, `${text.trimEnd()}\n${lines.join('\n')}\n`, {
      owner,
      mode: 0o600,
      what: 'saying where the copy gets its WAL',
    });
  }
  // Renamed: PostgreSQL removes the one that it followed, and with the other one the promoted server would not start
  // again.
  if (await exists(recovery)) await move(recovery, standby, 'letting the copy wait for its WAL');
}

/**
 * The restore point cannot be reached: without it as its target the copy can be promoted where it ends. Its server must
 * be stopped; PostgreSQL ends a promotion before a target with FATAL. Source: PerformWalRecovery(),
 * src/backend/access/transam/xlogrecovery.c.
 */
export async function forgetRestorePoint(cluster: Cluster, scratch: Scratch): Promise<void> {
  const file = join(scratch.directory, 'postgresql.auto.conf');
  const text = await readFile(file, 'utf8');
  const kept = text.split('\n').filter((line) => !/^\s*recovery_target_(name|action)\s*=/.test(line));
  const what = 'letting the copy end before its restore point';
  await writeWhole(file, kept.join('\n'), { owner: await dataOwner(cluster), mode: 0o600, what });
  await rm(askedFile(cluster, scratch), { force: true });
}

const quoted = (text: string) => text.replaceAll('\\', '\\\\').replaceAll("'", "''");

/** What a copy that waits wants to have, the furthest segment last. */
export interface Waiting {
  /** Where its replay has come to; undefined before it is consistent, when it can be asked nothing. */
  lsn?: string;
  /** The last commit that it has replayed, ISO 8601. */
  at?: string;
  asked: string[];
}

/**
 * Undefined while it goes on. A replay asks for each segment once; one that was refused, or is damaged, it asks for
 * again and again.
 */
export async function waitsFor(
  cluster: Cluster,
  scratch: Scratch,
  client: Client | undefined,
): Promise<Waiting | undefined> {
  const text = await readFile(askedFile(cluster, scratch), 'utf8').catch(() => '');
  const times = new Map<string, number>();
  for (const name of text.split('\n')) if (isSegment(name)) times.set(name, (times.get(name) ?? 0) + 1);
  // Before it is consistent nobody can see whether it moves: it is given more time.
  if (Math.max(0, ...times.values()) < (client ? 3 : 6)) return undefined;
  const asked = [...times].filter(([, count]) => count > 1).map(([name]) => name);
  asked.sort((a, b) => a.slice(8).localeCompare(b.slice(8)) || a.localeCompare(b));
  return client ? { ...(await replayed(client)), asked } : { asked };
}

/** How far a copy in recovery has come. */
async function replayed(client: Client): Promise<{ lsn?: string; at?: string }> {
  const lsn = await one<string>(client, 'select pg_last_wal_replay_lsn()::text');
  const at = await one<Date>(client, 'select pg_last_xact_replay_timestamp()');
  return { ...(lsn ? { lsn } : {}), ...(at ? { at: at.toISOString() } : {}) };
}

/** A better copy of a segment was laid down: it is asked for at once. */
export async function askAgain(cluster: Cluster, scratch: Scratch): Promise<void> {
  await rm(askedFile(cluster, scratch), { force: true });
}
