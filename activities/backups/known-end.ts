import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readClosing } from '../postgres/closing.js';
import { type Cluster, controlData, defaultSegmentBytes } from '../postgres/cluster.js';
import { readLastKnown } from '../postgres/last-known.js';
import { locationsOf, repositoryInfo } from './engines.js';
import { lsnText, lsnValue } from '../../vocabulary/lsn.js';
import { endOf, isSegment, isWritten, listArchive, startOf, timelineOf } from './wal.js';

/** A point that production is known to have reached on a timeline, by one of those who know something of it. */
export interface KnownPoint {
  lsn: string;
  /** ISO 8601, where a time is known. */
  at?: string;
  /** Who knows it. */
  by: string;
}

export const canaryKnows = 'the canary';

/**
 * What is known of the end of a timeline before a recovery begins; and the restore point of the incident, where a
 * recovery to the latest moment stops.
 */
export interface KnownEnd {
  points: KnownPoint[];
  restorePoint?: string;
}

/**
 * Asks the canary's last beat, the archive, production's own pg_wal and the closing of the incident, the furthest
 * first. A recovery that ends before one of them has lost what lies between, whatever its server says. A test of one
 * location is told of that location alone.
 */
export async function knownEnd(
  cluster: Cluster,
  of: { timeline: number; incident: string; production: string },
): Promise<KnownEnd> {
  const { timeline, incident, production } = of;
  const alone = cluster.only !== undefined || cluster.scratchOnly === true;
  const control = alone ? undefined : await controlData(cluster, production).catch(() => undefined);
  const segmentBytes = control?.segmentBytes ?? defaultSegmentBytes;
  const points: KnownPoint[] = [];
  const last = alone ? undefined : await readLastKnown(cluster);
  if (last?.timeline === timeline && (!control || control.systemIdentifier === last.systemIdentifier)) {
    points.push({ lsn: last.lsn, at: last.at, by: canaryKnows });
    if (last.setBack) points.push({ lsn: last.setBack.lsn, at: last.setBack.at, by: canaryKnows });
  }
  const newest = (segments: string[]) =>
    segments
      .filter((segment) => timelineOf(segment) === timeline)
      .sort()
      .at(-1);
  const began = (segment: string) => lsnText(startOf(segment, segmentBytes));
  const archived = newest(await archivedSegments(cluster, segmentBytes));
  if (archived) points.push({ lsn: began(archived), by: `the archive, which has ${archived}` });
  const own = newest(alone ? [] : await writtenIn(join(production, 'pg_wal')));
  if (own) points.push({ lsn: began(own), by: `pg_wal of the database, which has ${own}` });
  const closing = alone ? undefined : await readClosing(cluster, incident);
  const restorePoint = closing?.timeline === timeline ? closing.restorePoint : undefined;
  points.sort((a, b) => (lsnValue(a.lsn) < lsnValue(b.lsn) ? 1 : -1));
  return { points, ...(restorePoint ? { restorePoint } : {}) };
}

/**
 * The newest archived segment of each timeline, and where it ends: it was archived when production had written it to
 * its end.
 */
export async function endOfArchive(cluster: Cluster): Promise<{ timeline: number; segment: string; lsn: string }[]> {
  const control = await controlData(cluster, cluster.dataDirectory).catch(() => undefined);
  const segmentBytes = control?.segmentBytes ?? defaultSegmentBytes;
  const newest = new Map<number, string>();
  for (const segment of (await archivedSegments(cluster, segmentBytes)).sort())
    newest.set(timelineOf(segment), segment);
  return [...newest].map(([timeline, segment]) => ({ timeline, segment, lsn: lsnText(endOf(segment, segmentBytes)) }));
}

/** Names of what is archived at the locations that answer. */
export async function archivedSegments(cluster: Cluster, segmentBytes: number): Promise<string[]> {
  const { unreadable } = await repositoryInfo(cluster);
  const answering = locationsOf(cluster).filter((location) => !(location in unreadable));
  return (await listArchive(cluster, answering, segmentBytes)).segments;
}

/** The segments of a pg_wal that hold what their names say. */
export async function writtenIn(wal: string): Promise<string[]> {
  const names = (await readdir(wal).catch((): string[] => [])).filter(isSegment);
  const written = await Promise.all(names.map((name) => isWritten(join(wal, name)).catch(() => false)));
  return names.filter((_, at) => written[at]);
}
