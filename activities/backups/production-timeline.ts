import { join } from 'node:path';
import type { ApplicationFailure } from '@temporalio/common';
import type { Target } from '../../vocabulary/target.js';
import { failure } from '../errors.js';
import type { Cluster, ControlData } from '../postgres/cluster.js';
import { type LastKnown, readLastKnown } from '../postgres/last-known.js';
import { writtenIn } from './known-end.js';
import { type Archive, lastCommitIn, timelineOf } from './wal.js';

/**
 * The timeline that production is on: a restore follows exactly this one, never an older or a stray newer one. Its
 * control file says it. Where that cannot be read, what was noted at the last beat of the canary and what lies in its
 * pg_wal must agree; a copy that was rolled back has left a newer timeline in the archive, which is nobody's. Where two
 * are possible a person chooses: throws BadRequest, with how far each of them reaches.
 */
export async function productionTimeline(
  cluster: Cluster,
  of: { target: Target; control: ControlData | undefined; archive: Archive; dataDirectory: string },
): Promise<number> {
  const { target, control, archive, dataDirectory } = of;
  if (target.kind === 'latest' && target.timeline !== undefined) return target.timeline;
  if (control?.timeline) return control.timeline;
  const archived = [...new Set([...archive.histories, ...archive.segments.map(timelineOf)])].sort((a, b) => a - b);
  if (cluster.scratchOnly) return Math.max(1, ...archived);
  const last = await readLastKnown(cluster);
  const own = (await writtenIn(join(dataDirectory, 'pg_wal'))).map(timelineOf);
  const said = new Set([...(last ? [last.timeline] : []), ...(own.length > 0 ? [Math.max(...own)] : [])]);
  if (said.size === 1) return [...said][0]!;
  const possible = said.size > 0 ? [...said] : archived;
  if (possible.length <= 1) return possible[0] ?? 1;
  throw await whichOne(cluster, possible, archive, last);
}

async function whichOne(
  cluster: Cluster,
  possible: number[],
  archive: Archive,
  last: LastKnown | undefined,
): Promise<ApplicationFailure> {
  const ways = await Promise.all(
    possible
      .sort((a, b) => a - b)
      .map(async (timeline) => {
        const segment = archive.segments.filter((one) => timelineOf(one) === timeline).at(-1);
        const at = segment && (await lastCommitIn(cluster, segment));
        const canary = last?.timeline === timeline ? `, its canary beat at ${last.at}` : '';
        const reaches = segment
          ? `archived up to ${segment}${at ? `, ${at.toISOString()}` : ''}`
          : 'nothing of it is archived';
        return `--to timeline:${timeline} (${reaches}${canary})`;
      }),
  );
  return failure(
    'BadRequest',
    `${cluster.database} may have been on any of the timelines ${possible.join(', ')}: its control file cannot be read, and what else is known does not agree`,
    `Choose the one that served last: ${ways.join(', or ')}`,
  );
}
