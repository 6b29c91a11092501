import { text } from 'node:stream/consumers';
import type { Cluster } from '../../postgres/cluster.js';
import { defaultSegmentBytes } from '../../postgres/cluster.js';
import { failure, isFailure } from '../../errors.js';
import { withLocation } from '../../locations/open.js';
import type { Kept, Location } from '../../locations/location.js';
import { within } from '../../locations/transfer.js';
import type { BackupSet, RepositoryInfo } from '../engine.js';
import { folderOf } from './wal-g-config.js';

/**
 * What WAL-G keeps, as it lies at a location: `basebackups_005/LABEL_backup_stop_sentinel.json` is written last, when
 * all below `basebackups_005/LABEL/` is there, and says all of a backup; WAL is below `wal_005/`. WAL-G's own list
 * fails as a whole when one file of it cannot be read, so they are read here. Source:
 * internal/databases/postgres/backup_sentinel_dto.go of WAL-G 3.0.7.
 */

export const backupsOf = (cluster: Cluster): string => `${folderOf(cluster)}/basebackups_005/`;
export const walOf = (cluster: Cluster): string => `${folderOf(cluster)}/wal_005/`;
/** Lies beside the backups once a location was made ready for them, and says of which cluster they are. */
export const markOf = (cluster: Cluster): string => `${folderOf(cluster)}/lifeboat.json`;

const sentinelEnd = '_backup_stop_sentinel.json';
export const sentinelOf = (cluster: Cluster, label: string): string => `${backupsOf(cluster)}${label}${sentinelEnd}`;
/** Lies in the folder of a backup in which damaged pages were found while it was taken. It goes with the folder. */
export const pageErrorsOf = (cluster: Cluster, label: string): string =>
  `${backupsOf(cluster)}${label}/lifeboat-page-errors.json`;

export interface Sentinel {
  LSN: number;
  FinishLSN: number;
  DeltaFrom?: string;
  SystemIdentifier?: string;
  UncompressedSize: number;
  CompressedSize: number;
  DataCatalogSize?: number;
  Spec: { tablespaces?: string[] } | null;
  UserData?: { run?: string; type?: string; rows?: Record<string, number | null>; segmentBytes?: number };
  StartTime: string;
  FinishTime: string;
}

/** Throws when it is not one. */
export function parseSentinel(json: string): Sentinel {
  // JSON.parse would round the system identifier, which has more digits than a double.
  const read = JSON.parse(json.replace(/"SystemIdentifier":(\d+)/g, '"SystemIdentifier":"$1"')) as Partial<Sentinel>;
  if (typeof read.LSN !== 'number' || typeof read.FinishLSN !== 'number' || !read.FinishTime)
    throw new Error('it is not what WAL-G writes at the end of a backup');
  return read as Sentinel;
}

/** The labels of finished backups among the names at a location. */
export const labelsIn = (cluster: Cluster, kept: Kept[]): string[] =>
  kept
    .map(({ name }) => name.slice(backupsOf(cluster).length))
    .filter((name) => name.endsWith(sentinelEnd) && !name.includes('/'))
    .map((name) => name.slice(0, -sentinelEnd.length));

export const readText = async (open: Location, name: string): Promise<string> => text(await open.get(name));

/** A location has this long to say what is there. */
const patience = 30_000;

/** Asks every location at once, each by itself: one that is away holds up nobody. */
export async function info(cluster: Cluster, locations: string[]): Promise<RepositoryInfo> {
  const late = (location: string) => () =>
    failure('LocationUnreachable', `${location} did not answer within ${patience / 1000} s`, 'Look at the location.');
  const answers = await Promise.all(
    locations.map((location) =>
      within(
        patience,
        withLocation(cluster.context, location, (open) => infoAt(cluster, location, open)),
        late(location),
      ).catch((error: unknown) => ({ backups: [], systemIdentifier: undefined, unreadable: (error as Error).message })),
    ),
  );
  return {
    backups: answers.flatMap(({ backups }) => backups),
    systemIdentifier: answers.map(({ systemIdentifier }) => systemIdentifier).find(Boolean),
    unreadable: Object.fromEntries(
      locations.flatMap((location, at) => {
        const { unreadable } = answers[at]!;
        return unreadable === undefined ? [] : [[location, unreadable]];
      }),
    ),
  };
}

/** What is said of a location that answers and was never made ready, or lost what it had. */
const nothingThere = 'it has no backups of this database, and was not made ready for them';

interface Answer {
  backups: BackupSet[];
  systemIdentifier: string | undefined;
  unreadable?: string;
}

async function infoAt(cluster: Cluster, location: string, open: Location): Promise<Answer> {
  const mark = await readMark(cluster, open);
  if (!mark) return { backups: [], systemIdentifier: undefined, unreadable: nothingThere };
  const kept = await open.list(backupsOf(cluster));
  const names = new Set(kept.map(({ name }) => name));
  const backups: BackupSet[] = [];
  for (const label of labelsIn(cluster, kept)) {
    const json = await readText(open, sentinelOf(cluster, label)).catch((error: unknown) => {
      // It was removed meanwhile, or cannot be read: the others are listed all the same.
      if (isFailure(error, 'BackupDamaged')) return '';
      throw error;
    });
    try {
      backups.push(setOf(label, location, parseSentinel(json), names.has(pageErrorsOf(cluster, label))));
    } catch {
      // A backup whose own description is damaged cannot be restored; `verify` names it.
    }
  }
  return { backups, systemIdentifier: mark.systemIdentifier };
}

export async function readMark(cluster: Cluster, open: Location): Promise<{ systemIdentifier: string } | undefined> {
  if (!(await open.find(markOf(cluster)))) return undefined;
  return JSON.parse(await readText(open, markOf(cluster))) as { systemIdentifier: string };
}

function setOf(label: string, location: string, sentinel: Sentinel, pageErrors: boolean): BackupSet {
  const { UserData: mine = {}, DeltaFrom: prior } = sentinel;
  const segmentBytes = mine.segmentBytes ?? defaultSegmentBytes;
  const timeline = label.slice('base_'.length, 'base_'.length + 8);
  return {
    label,
    location,
    // A differential one right behind a full one and an incremental one are the same thing to WAL-G.
    type: prior === undefined ? 'full' : mine.type === 'differential' ? 'diff' : 'incr',
    startedAt: Math.floor(Date.parse(sentinel.StartTime) / 1000),
    // Rounded up: a target within that second is not after it.
    stoppedAt: Math.ceil(Date.parse(sentinel.FinishTime) / 1000),
    databaseBytes: sentinel.DataCatalogSize ?? sentinel.UncompressedSize,
    repositoryBytes: sentinel.CompressedSize,
    ownBytes: sentinel.CompressedSize,
    walStart: segmentAt(timeline, sentinel.LSN, segmentBytes),
    walStop: segmentAt(timeline, sentinel.FinishLSN - 1, segmentBytes),
    lsnStop:
      `${Math.floor(sentinel.FinishLSN / 2 ** 32).toString(16)}/${(sentinel.FinishLSN % 2 ** 32).toString(16)}`.toUpperCase(),
    pageErrors,
    ...(prior === undefined ? {} : { prior }),
    annotations: {
      ...(mine.run === undefined ? {} : { 'lifeboat-run': mine.run }),
      ...(mine.rows === undefined ? {} : { 'lifeboat-rows': JSON.stringify(mine.rows) }),
    },
  };
}

/** The segment in which a byte of WAL lies. */
function segmentAt(timeline: string, lsn: number, segmentBytes: number): string {
  const number = Math.floor(lsn / segmentBytes);
  const perLog = 2 ** 32 / segmentBytes;
  const hex = (n: number) => n.toString(16).toUpperCase().padStart(8, '0');
  return `${timeline}${hex(Math.floor(number / perLog))}${hex(number % perLog)}`;
}

/** Names of archived segments and timelines with a history file, and the bytes of both. */
export function archived(
  cluster: Cluster,
  location: string,
): Promise<{ segments: string[]; histories: number[]; bytes: number }> {
  return withLocation(cluster.context, location, async (open) => {
    const kept = await open.list(walOf(cluster));
    const names = kept.map(({ name }) => name.slice(walOf(cluster).length));
    const all = (form: RegExp) => names.map((name) => form.exec(name)?.[1]).filter((found) => found !== undefined);
    return {
      segments: all(/^([0-9A-F]{24})\.[a-z0-9]+$/),
      histories: all(/^([0-9A-F]{8})\.history\.[a-z0-9]+$/).map((history) => parseInt(history, 16)),
      bytes: kept.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  });
}
