import { createReadStream } from 'node:fs';
import { mkdtemp, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Capability, cancelled, looking } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { copyFile, removeTree, sha256 } from '../files.js';
import { withLocation } from '../locations/open.js';
import { within } from '../locations/transfer.js';
import { clusterOf, controlData } from '../postgres/cluster.js';
import { compressor, encodedName, encrypterFor, putCoded } from './logical/coding.js';
import { locationsOf } from './engines.js';
import { writtenIn } from './known-end.js';
import { lsnText } from '../../vocabulary/lsn.js';
import { flawOfSegment, lastRecord } from './segment.js';
import { fetchedPrefix, isSegment, numberOf, startOf, timelineOf } from './wal.js';

/**
 * A standby has received what its primary may have lost since: what it has of the WAL, and how it hands a segment over.
 */

/** What one standby has of one timeline. */
export interface StandbyWal {
  host: string;
  systemIdentifier: string;
  timeline: number;
  /** Where its last record begins. */
  lsn: string;
  /** First and last segment of each run without a gap. */
  ranges: [string, string][];
}

/** What the primary's agent is told of its standbys. */
export interface StandbysAsked {
  has: StandbyWal[];
  /** What was not asked, with why: a line each. */
  not: string[];
}

/** A segment that lies at a location for a moment, for the agent of the primary. */
export interface Handed {
  host: string;
  segment: string;
  location: string;
  name: string;
  bytes: number;
  /** Of the segment itself, whatever it is wrapped in there. */
  sha256: string;
}

interface Names {
  database: string;
  incident: string;
}

/** Everything that was handed over for a database. */
export const handedPrefix = (system: string, database: string): string => `lifeboat/${system}/wal/${database}/`;

/** Says up to where this standby has WAL, timeline by timeline. Its server need not run. */
export const lookAtWal = (context: HostContext) =>
  looking<Names, { summary: string; has: StandbyWal[] }>(async ({ database }) => {
    const cluster = clusterOf(context, database);
    const { systemIdentifier, segmentBytes } = await controlData(cluster, cluster.dataDirectory);
    const wal = join(cluster.dataDirectory, 'pg_wal');
    const names = (await writtenIn(wal)).sort();
    const has: StandbyWal[] = [];
    for (const timeline of new Set(names.map(timelineOf))) {
      const own = names.filter((name) => timelineOf(name) === timeline);
      const newest = own.at(-1)!;
      const last = (await lastRecord(cluster, join(wal, newest), undefined)) ?? startOf(newest, segmentBytes);
      has.push({
        host: context.host,
        systemIdentifier,
        timeline,
        lsn: lsnText(last),
        ranges: rangesOf(own, segmentBytes),
      });
    }
    return { summary: has.map(({ timeline, lsn }) => `timeline ${timeline} up to ${lsn}`).join(', ') || 'no WAL', has };
  });

function rangesOf(names: string[], segmentBytes: number): [string, string][] {
  const ranges: [string, string][] = [];
  for (const name of names) {
    const range = ranges.at(-1);
    if (range && numberOf(range[1], segmentBytes) + 1 === numberOf(name, segmentBytes)) range[1] = name;
    else ranges.push([name, name]);
  }
  return ranges;
}

/** So long may one location take for a segment: a person waits for the recovery. */
const patience = 60_000;

/**
 * Puts segments out of this standby's pg_wal to every location that takes them, encrypted where the plan says so, since
 * no agent speaks with another. What is not here, or is not what its name says, is left out; what an earlier incident
 * left there is removed.
 */
export const handOverWal = (
  context: HostContext,
): Capability<Names & { segments: string[] }, { summary: string; handed: Handed[] }> => ({
  rehearse: () => Promise.resolve({ summary: 'nothing was handed over', handed: [] }),

  async execute({ database, incident, segments }) {
    const cluster = clusterOf(context, database);
    const { systemIdentifier } = await controlData(cluster, cluster.dataDirectory);
    const base = handedPrefix(context.plan.system, database);
    const own = `${base}${incident}/${context.host}/`;
    const handed: Handed[] = [];
    const failed: string[] = [];
    const folder = await mkdtemp(join(context.state, fetchedPrefix));
    try {
      for (const segment of segments.filter(isSegment)) {
        const path = join(folder, segment);
        // A copy first: the one in place may be written to while it is read.
        await copyFile(join(cluster.dataDirectory, 'pg_wal', segment), path).catch(() => undefined);
        if ((await flawOfSegment(path, segment, systemIdentifier).catch(() => 'it is not there')) !== undefined)
          continue;
        const digest = await sha256(path);
        const { size: bytes } = await stat(path);
        for (const location of locationsOf(cluster)) {
          const put = withLocation(context, location, async (open) => {
            for (const { name } of await open.list(base))
              if (!name.startsWith(`${base}${incident}/`)) await open.remove(name);
            const encrypter = await encrypterFor(context, location);
            const name = `${own}${encodedName(segment, { compressed: true, encrypted: encrypter !== undefined })}`;
            const coders = [compressor(), ...(encrypter ? [encrypter] : [])];
            await putCoded(open, name, createReadStream(path), coders, { signal: cancelled(), bytes });
            return name;
          });
          const late = () =>
            failure(
              'LocationUnreachable',
              `${location} did not take it within ${patience / 1000} s`,
              'Look at the location.',
            );
          await within(patience, put, late).then(
            (name) => handed.push({ host: context.host, segment, location, name, bytes, sha256: digest }),
            (error: unknown) => failed.push(`${location}: ${(error as Error).message}`),
          );
        }
        await checkpoint('after handing a WAL segment over');
        await removeTree(path);
      }
    } finally {
      await removeTree(folder);
    }
    if (handed.length === 0 && failed.length > 0)
      throw failure(
        'LocationUnreachable',
        `no location takes WAL of the standby: ${failed.join('; ')}`,
        'Look at the locations.',
      );
    return {
      summary: `${new Set(handed.map(({ segment }) => segment)).size} of ${segments.length} segments handed over`,
      handed,
    };
  },
});
