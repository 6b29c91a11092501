import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ApplicationFailure } from '@temporalio/common';
import { parseTarget, type Target } from '../../vocabulary/target.js';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure, isFailure } from '../errors.js';
import { exists, makeDirectory, ownFor, removeTree, copyFile } from '../files.js';
import { demandSpace } from './check-request.js';
import { clusterOf, type Cluster, controlData, dataOwner, provenDataDirectory } from '../postgres/cluster.js';
import { proving } from '../postgres/proof.js';
import { type Scratch, scratchOf } from '../postgres/scratch.js';
import { stopServer } from '../postgres/server.js';
import type { Candidate } from '../backups/candidates.js';
import { engineOf } from '../backups/engines.js';
import { damaged } from '../backups/damaged.js';
import { type Recovery, WantedOfStandbys } from '../backups/end-of-wal.js';
import { clearFill } from '../backups/wal-fill.js';
import { bringHanded, pointsOf } from '../backups/handed-wal.js';
import { knownEnd } from '../backups/known-end.js';
import { demandNoLaterTablespace } from '../backups/later-tablespaces.js';
import { recover } from '../backups/recover.js';
import { discardScratch, type Mark, readMark, type Restored, writeMark } from '../backups/restored-mark.js';
import type { Handed, StandbysAsked } from '../backups/standby-wal.js';
import { isSegment, isWritten } from '../backups/wal.js';

export interface RestoreInput {
  database: string;
  incident: string;
  candidate: Candidate;
  target: string;
  /** What standbys have of the WAL; and what they handed over since, when they were asked for these segments. */
  standbys?: StandbysAsked;
  handed?: Handed[];
  asked?: string[];
}
/**
 * `wants`: the copy is not whole yet, and waits for segments that standbys have. Asked again with what they handed
 * over, it goes on from there.
 */
export type RestoredBeside = Restored & { wants?: string[] };

/**
 * Restores a backup into a new directory beside the damaged one and recovers it to the target. What is believed is the
 * server's own log, its paused state and the canary; the exit code of the restore proves nothing.
 * Source: field-notes, "PITR, always into a new directory"; pgbackrest.org, command restore.
 */
export const restoreBeside = (context: HostContext): Capability<RestoreInput, RestoredBeside> => ({
  async rehearse({ database, candidate }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    const room = await demandSpace(cluster, directory, candidate.databaseBytes);
    return {
      summary: `could be restored from ${candidate.label} at ${candidate.location}: ${room}`,
      timeline: candidate.timeline,
      bytes: candidate.databaseBytes,
      seconds: 0,
    };
  },

  execute: (input) => {
    const cluster = clusterOf(context, input.database);
    return proving(cluster, () => restoreCopy(cluster, input));
  },
});

/** Restores, or goes on with what an earlier attempt has left. */
export async function restoreCopy(cluster: Cluster, input: RestoreInput): Promise<RestoredBeside> {
  const target = parseTarget(input.target);
  const scratch = scratchOf(cluster, input.incident);
  const began = Date.now();
  const mark = await readMark(scratch);
  const same =
    mark !== undefined &&
    mark.stage !== 'going' &&
    mark.incident === input.incident &&
    isDeepStrictEqual(sourceOf(mark), sourceOf(asked(input)));
  const hosts = (input.standbys?.has ?? []).map(({ host }) => host);
  // It ended too early, and a standby that was away then may have what it lacks.
  const more = mark?.restored?.short !== undefined && hosts.some((host) => !(mark.standbys ?? []).includes(host));
  if (same && mark.restored && !more) return mark.restored;
  // Another candidate or another target was tried before, or it is half removed: such a copy is ours, and of no more
  // use.
  if (mark && (!same || more)) await discardScratch(cluster, scratch);
  await fetchFiles(cluster, input, target, scratch);
  await demandNoLaterTablespace(cluster.dataDirectory, scratch.directory, target, input.candidate);
  const { known = { points: [] } } = (await readMark(scratch)) ?? {};
  const standbys = await standbysOf(cluster, scratch, input);
  const recovered = await recover(cluster, {
    ...{ target, scratch, candidate: input.candidate, standbys },
    known: { ...known, points: [...known.points, ...pointsOf(standbys.has, input.candidate.timeline)] },
    production: await productionOf(cluster),
    end: async (short) => writeMark(scratch, { ...asked(input), stage: 'fetched', known, short }),
  }).catch((error: unknown) => {
    if (error instanceof WantedOfStandbys) return error;
    throw error;
  });
  if (recovered instanceof WantedOfStandbys) {
    const summary = `it waits for ${recovered.segments.length} WAL segments that standbys have`;
    return { summary, timeline: input.candidate.timeline, bytes: 0, seconds: 0, wants: recovered.segments };
  }
  await clearFill(cluster, scratch);
  const { short } = (await readMark(scratch)) ?? {};
  const restored: Restored = {
    ...recovered,
    ...(short ? { short } : {}),
    bytes: input.candidate.databaseBytes,
    seconds: Math.round((Date.now() - began) / 100) / 10,
  };
  await writeMark(scratch, { ...asked(input), stage: 'recovered', restored, standbys: hosts });
  return restored;
}

/**
 * Standbys of this very cluster, with what they handed over brought here. A test of a location is helped by none of
 * them.
 */
async function standbysOf(
  cluster: Cluster,
  scratch: Scratch,
  { standbys, handed = [], asked = [] }: RestoreInput,
): Promise<Recovery['standbys']> {
  if (cluster.only || cluster.scratchOnly || !standbys) return { has: [], asked: [], not: notAsked(cluster) };
  const copy = await controlData(cluster, scratch.directory).catch(() => undefined);
  const has = standbys.has.filter(({ systemIdentifier }) => systemIdentifier === copy?.systemIdentifier);
  return {
    has,
    asked,
    not: [...standbys.not, ...(handed.length > 0 ? await bringHanded(cluster, scratch, handed) : [])],
  };
}

const notAsked = ({ plan, context }: Cluster): string[] =>
  plan.postgres.standbys.filter((host) => host !== context.host).map((host) => `pg_wal of standby ${host}`);

const asked = ({ incident, candidate: { label, location }, target }: RestoreInput) => ({
  incident,
  label,
  location,
  target,
});
const sourceOf = ({ label, location, target }: Omit<Mark, 'stage'>) => ({ label, location, target });

async function fetchFiles(cluster: Cluster, input: RestoreInput, target: Target, scratch: Scratch): Promise<void> {
  const { candidate } = input;
  const mark = await readMark(scratch);
  if (mark && mark.stage !== 'files') return;
  const production = await productionOf(cluster);
  const owner = await dataOwner(cluster);
  if (!mark && (await exists(scratch.directory))) {
    throw failure(
      'WrongTarget',
      `${scratch.directory} is there already, and Lifeboat did not make it`,
      'Move it away, then: lifeboat decide retry',
    );
  }
  if (!mark) await demandSpace(cluster, production, candidate.databaseBytes);
  await writeMark(scratch, { ...asked(input), stage: 'files' });
  // A killed attempt may have left files. The engine goes on from such a directory only when it knows it as its own;
  // before that there is
  // nothing worth keeping in it.
  const left = await readdir(scratch.directory).catch((): string[] => []);
  const resumed = left.includes('PG_VERSION') || left.includes('backup.manifest');
  if (!resumed) await removeTree(scratch.directory);
  await makeDirectory(scratch.directory, owner);
  await makeDirectory(`${scratch.directory}.tablespaces`, owner);
  await checkpoint('after making the scratch directories');
  const started = Date.now();
  if (resumed) await stopServer(cluster, scratch.directory);
  const { label, location, timeline, databaseBytes } = candidate;
  await engineOf(cluster)
    .restore(cluster, {
      ...{ label, location, timeline, target, directory: scratch.directory, resumed, incident: input.incident },
      onPercent: (percent) => {
        const elapsed = (Date.now() - started) / 1000;
        progress({
          what: `restoring ${label}`,
          percent,
          bytesDone: Math.round((databaseBytes * percent) / 100),
          bytesTotal: databaseBytes,
          secondsLeft: Math.round((elapsed * (100 - percent)) / percent),
        });
      },
    })
    .catch((error: unknown) => {
      throw isFailure(error, 'CommandFailed') && isDamage(cluster, error) ? damaged(candidate, error.message) : error;
    });
  // Before the tail is copied: a server that runs writes on, and nobody runs after it.
  const known = await knownEnd(cluster, { timeline: candidate.timeline, incident: input.incident, production });
  // A test of one location is helped by nothing else.
  if (target.kind !== 'backup' && !cluster.only) await copyTail(cluster, production, scratch, candidate.timeline);
  await writeMark(scratch, { ...asked(input), stage: 'fetched', known });
}

const productionOf = (cluster: Cluster): Promise<string> =>
  provenDataDirectory(cluster).catch(() => cluster.dataDirectory);

const isDamage = (cluster: Cluster, { details, message }: ApplicationFailure): boolean =>
  engineOf(cluster).isDamage({ code: ((details?.[0] ?? {}) as { code?: number }).code, message });

/**
 * The WAL that the damaged server had written and not yet archived lies in its own pg_wal: with it, the copy loses
 * nothing that was committed, and a target of a moment ago can be reached: recovery stops at the first commit after it,
 * which may be in there. Recovery checks every record's CRC, and takes from there only what the archive does not have.
 */
async function copyTail(cluster: Cluster, production: string, scratch: Scratch, timeline: number): Promise<void> {
  const wal = join(production, 'pg_wal');
  const archived = new Set(await readdir(join(wal, 'archive_status')).catch(() => []));
  const own = timeline.toString(16).toUpperCase().padStart(8, '0');
  const owner = await dataOwner(cluster);
  for (const segment of await readdir(wal).catch(() => [])) {
    if (!isSegment(segment) || !segment.startsWith(own) || archived.has(`${segment}.done`)) continue;
    if (!(await isWritten(join(wal, segment)))) continue;
    const to = join(scratch.directory, 'pg_wal', segment);
    await copyFile(join(wal, segment), to);
    await checkpoint('after copying WAL that was not archived');
    await ownFor(to, owner);
  }
}
