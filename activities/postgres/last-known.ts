import { join } from 'node:path';
import { readFile, writeWhole } from '../files.js';
import { reaches } from '../../vocabulary/lsn.js';
import { type Cluster, controlData } from './cluster.js';
import { type Client, withClient } from './connect.js';

/**
 * What is known of production without production: the timeline it is on and how far it has committed, by the last beat
 * of its canary. It lies in the state of the agent, so that it outlives a server that comes up with less than it had,
 * and a data directory that says nothing any more.
 */
export interface LastKnown {
  systemIdentifier: string;
  timeline: number;
  /** All of the WAL before it was on disk at that moment. */
  lsn: string;
  /** ISO 8601. */
  at: string;
  /** Of the canary; absent where it has not beaten yet. */
  seq?: number;
  /** The production that this one replaced, for a roll-back to it. */
  before?: Omit<LastKnown, 'before' | 'setBack'>;
  /** It went on on its timeline from before a point that it had committed: what lay between is gone from it. */
  setBack?: { lsn: string; at: string; goesOnFrom: string; seenAt: string };
}

const file = (cluster: Cluster) => join(cluster.context.state, `last-known-${cluster.database}.json`);

/** Undefined when nothing was noted on this host yet, or for a directory in which backups are only tested. */
export async function readLastKnown(cluster: Cluster): Promise<LastKnown | undefined> {
  if (cluster.scratchOnly) return undefined;
  const text = await readFile(file(cluster), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as LastKnown);
}

const write = (cluster: Cluster, known: LastKnown) => writeWhole(file(cluster), JSON.stringify(known));

type Point = Omit<LastKnown, 'before' | 'setBack'>;
const pointOf = ({ before: _before, setBack: _setBack, ...point }: LastKnown): Point => point;

/**
 * Notes a point of production that is proven to be on disk. One that lies before the last one on the same timeline is a
 * loss, and is noted as one.
 */
export async function noteBeat(cluster: Cluster, point: Point, upSince: Date): Promise<void> {
  const last = await readLastKnown(cluster);
  const same = last?.systemIdentifier === point.systemIdentifier && last.timeline === point.timeline;
  const back = same && isBehind({ ...point, seq: point.seq === undefined ? undefined : point.seq - 1 }, last, upSince);
  const setBack = back ? { lsn: last.lsn, at: last.at, goesOnFrom: point.lsn, seenAt: point.at } : undefined;
  // The first loss is the one that its canary can still tell of.
  const kept = same ? (last.setBack ?? setBack) : undefined;
  const before = last && !same && point.timeline > last.timeline ? pointOf(last) : last?.before;
  await write(cluster, { ...point, ...(before ? { before } : {}), ...(kept ? { setBack: kept } : {}) });
}

/**
 * Whether a server that is on the same timeline has less than was known: its WAL ends earlier, or it was started since
 * and its canary is an earlier one. A canary alone is no proof: it may have been dropped, or come back out of a dump.
 */
export const isBehind = (now: { lsn: string; seq?: number | undefined }, last: LastKnown, upSince: Date): boolean =>
  !reaches(now.lsn, last.lsn) ||
  (now.seq !== undefined && last.seq !== undefined && now.seq < last.seq && upSince.getTime() > Date.parse(last.at));

/**
 * Another directory is production now, put in place by an incident: what is known begins anew with it. `rolledBack`: it
 * is the one that was production before, which may be too damaged to be asked; then it is what it was. `from`: the
 * timeline of the copy that was put aside.
 */
export async function noteInPlace(
  cluster: Cluster,
  { rolledBack = false, from }: { rolledBack?: boolean; from?: number | undefined } = {},
): Promise<void> {
  const last = await readLastKnown(cluster);
  const now = await withClient(cluster, { database: 'postgres' }, pointNow).catch(() => undefined);
  if (rolledBack) {
    // What was never noted as production needs no way back from it.
    const known = now ?? (last?.timeline === from ? last?.before : last) ?? (await ofControlFile(cluster));
    if (known) await write(cluster, known);
    return;
  }
  if (!now || (last && last.systemIdentifier === now.systemIdentifier && last.timeline === now.timeline)) return;
  await write(cluster, { ...now, ...(last ? { before: pointOf(last) } : {}) });
}

/** A person has been told what is gone, and the service goes on without it. */
export async function forgetSetBack(cluster: Cluster): Promise<void> {
  const last = await readLastKnown(cluster);
  if (!last?.setBack) return;
  const { setBack: _, ...rest } = last;
  await write(cluster, rest);
}

/** Where a running primary stands: its timeline, and its last checkpoint, which is on disk. */
async function pointNow(client: Client): Promise<Point> {
  const { rows } = await client.query<{ segment: string; lsn: string; at: Date; system: string }>(
    `select pg_walfile_name(pg_current_wal_lsn()) as segment, clock_timestamp() as at,
            (select checkpoint_lsn::text from pg_control_checkpoint()) as lsn, (select system_identifier::text from pg_control_system()) as system`,
  );
  const { segment, lsn, at, system } = rows[0]!;
  return { systemIdentifier: system, timeline: parseInt(segment.slice(0, 8), 16), lsn, at: at.toISOString() };
}

async function ofControlFile(cluster: Cluster): Promise<Point | undefined> {
  const control = await controlData(cluster, cluster.dataDirectory).catch(() => undefined);
  const lsn = /^Latest checkpoint location:\s+(\S+)$/m.exec(control?.text ?? '')?.[1];
  if (!control || !lsn) return undefined;
  return { systemIdentifier: control.systemIdentifier, timeline: control.timeline, lsn, at: new Date().toISOString() };
}
