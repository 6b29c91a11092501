import { access, constants, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { quarantineDirectory } from '../../vocabulary/names.js';
import { demandRestored, markPlaced, markRecovered, readMark, wasPlaced } from '../backups/restored-mark.js';
import { endOf, history, lsnValue } from '../backups/wal.js';
import type { Capability } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure, isFailure } from '../errors.js';
import { exists, makeDirectory, move, readFile, treeBytes, writeWhole } from '../files.js';
import { demandClaim } from '../postgres/claim.js';
import { proveClosed, startClosed } from '../postgres/closed-server.js';
import { demandNothingBehind, removeClosings } from '../postgres/closing.js';
import { readCanary } from '../postgres/canary.js';
import { readCatalog } from '../postgres/checks.js';
import { type Cluster, clusterOf, controlData, dataOwner, provenDataDirectory } from '../postgres/cluster.js';
import { ofRecovery } from '../postgres/configuration.js';
import { one, withClient } from '../postgres/connect.js';
import { bringProduction } from './differences.js';
import { putFence } from '../postgres/fence.js';
import { noteInPlace } from '../postgres/last-known.js';
import { scratchOf } from '../postgres/scratch.js';
import { stopServer } from '../postgres/server.js';
import { recreateSlots } from '../postgres/slots.js';
import { moveWal } from '../postgres/wal-disk.js';

export interface PlaceInput {
  database: string;
  incident: string;
}
export interface Placed {
  summary: string;
  host: string;
  /** Where the directory that was in place before now lies, and its size in bytes: 0 when nothing was left in it. */
  quarantine: string;
  bytes: number;
  /** What is there could be put back: there was a database in place before, and not only what was left of one. */
  canGoBack: boolean;
  /** What did not come back with it. */
  warnings: string[];
}

/** Production's data directory, with links resolved even while it is renamed away for a moment. */
const sides = (cluster: Cluster, incident: string) => ({
  place: cluster.dataDirectory,
  restored: scratchOf(cluster, incident).directory,
  quarantine: quarantineDirectory(cluster.dataDirectory, incident),
  /** Where a copy goes that did not hold in place, or was rolled back. */
  aside: `${cluster.dataDirectory}.replaced-${incident}`,
});

/**
 * Renames the damaged data directory aside and the restored one into its place, and starts it closed. Nothing is
 * removed. Which of the three names exist says how far an earlier attempt came.
 */
export const putInPlace = (context: HostContext): Capability<PlaceInput & { behind?: number | null }, Placed> => ({
  async rehearse({ database, incident }) {
    const cluster = clusterOf(context, database);
    const directory = await provenDataDirectory(cluster);
    await access(dirname(directory), constants.W_OK);
    const quarantine = quarantineDirectory(cluster.dataDirectory, incident);
    return {
      summary: `could be renamed: ${dirname(directory)} is writable, on one file system`,
      host: context.host,
      quarantine,
      bytes: 0,
      canGoBack: true,
      warnings: [],
    };
  },

  async execute({ database, incident, behind = 0 }) {
    const cluster = clusterOf(context, database);
    const { place, restored, quarantine, aside } = sides(cluster, incident);
    await demandClaim(cluster, incident);
    const copy = await demandRestored(scratchOf(cluster, incident), incident);
    // It was in place before, did not hold, and was put aside: a person says that it can be tried again.
    if (!(await exists(restored)) && !(await exists(quarantine)) && (await exists(aside)))
      await move(aside, restored, 'taking the restored directory up again').then(() =>
        markRecovered(scratchOf(cluster, incident)),
      );
    let stays: string | undefined;
    if (await exists(restored)) {
      await stopServer(cluster, restored);
      // One that is gone leaves an empty place, which goes aside like any other: so an attempt after a crash finds the
      // same as always.
      if (!(await exists(quarantine))) await makeDirectory(place, await dataOwner(cluster));
      if (await exists(place)) {
        await sameSystem(cluster, place, restored);
        // Closed for whoever starts it later; and what does not run cannot write, whatever was opened in the hours
        // since.
        await putFence(cluster, incident);
        // Before it is stopped: a server that ran closed all the while has had nobody in it, and a shutdown may remove
        // the WAL that would tell.
        await demandNothingBehind(cluster, incident, behind);
        await stopServer(cluster);
      }
      if (!(await exists(quarantine))) stays = await moveWal(place, restored, incident);
      await makeReady(cluster, restored, incident, copy.timeline);
      if (!(await exists(quarantine))) await move(place, quarantine, 'moving the damaged directory aside');
      await move(restored, place, 'moving the restored directory into place');
    }
    await markPlaced(scratchOf(cluster, incident));
    await removeClosings(cluster);
    if (!(await exists(quarantine))) {
      throw failure(
        'WrongTarget',
        `neither ${restored} nor ${quarantine} is there`,
        'Somebody moved them. Look at the host before you decide anything.',
      );
    }
    await startClosed(cluster);
    await verifyInPlace(cluster, copy.timeline);
    await noteInPlace(cluster);
    const lost = await recreateSlots(cluster, quarantine);
    const canGoBack = await exists(join(quarantine, 'global/pg_control'));
    return {
      summary: `in place and verified on timeline ${copy.timeline}; ${canGoBack ? 'the damaged one' : 'what was left of the old one'} is at ${quarantine}`,
      host: context.host,
      quarantine,
      bytes: (await readdir(quarantine)).length > 0 ? await treeBytes(quarantine) : 0,
      canGoBack,
      warnings: [...lost.map((slot) => `replication slot ${slot}`), ...(stays === undefined ? [] : [stays])],
    };
  },
});

async function sameSystem(cluster: Cluster, place: string, restored: string): Promise<void> {
  const [old, copy] = await Promise.all([
    controlData(cluster, place).catch(() => undefined),
    controlData(cluster, restored),
  ]);
  if (old && old.systemIdentifier !== copy.systemIdentifier) {
    throw failure(
      'WrongTarget',
      `${place} is cluster ${old.systemIdentifier}, the copy is of cluster ${copy.systemIdentifier}`,
      'Nothing was moved. Check hosts and dataDirectory in the plan.',
    );
  }
}

/**
 * What a scratch copy has and production may not have: closed, with archiving as it was, and its new timeline archived
 * from its beginning.
 */
async function makeReady(cluster: Cluster, directory: string, incident: string, timeline: number): Promise<void> {
  // Brought before the approval, unless nobody verified the copy.
  if (!(await readMark(scratchOf(cluster, incident)))?.differences)
    await bringProduction(cluster, scratchOf(cluster, incident));
  await putFence(cluster, incident, directory);
  const file = join(directory, 'postgresql.auto.conf');
  const text = await readFile(file, 'utf8');
  const kept = text.split('\n').filter((line) => !ofRecovery.test(line));
  await writeWhole(file, kept.join('\n'), {
    owner: await dataOwner(cluster),
    mode: 0o600,
    what: 'taking the settings of recovery out',
  });
  // Archiving was off when this timeline began, so PostgreSQL has not marked its history: without it in the archive,
  // the next restore
  // would follow the old timeline and drop what came since (cloudnative-pg#10817).
  const wal = join(directory, 'pg_wal');
  const own = timeline.toString(16).toUpperCase().padStart(8, '0');
  const names = (await readdir(wal))
    .filter((name) => name === `${own}.history` || (/^[0-9A-F]{24}$/.test(name) && name.startsWith(own)))
    .sort();
  const segments = names.filter((name) => !name.endsWith('.history'));
  // The last segments may be the current one or recycled ones: those are PostgreSQL's own to mark.
  const current = await currentSegment(cluster, directory);
  for (const name of [...names.filter((one) => one.endsWith('.history')), ...segments.filter((one) => one < current)])
    await markWal(cluster, wal, name, 'ready');
  // The end of the old timeline is the damaged server's: it may have archived that segment with more in it than the
  // copy has, and an archiver
  // that is refused one segment archives nothing more. What is whole before it is the same in both.
  const fork = (await history(cluster, timeline, directory)).at(-1);
  if (!fork) return;
  const { segmentBytes } = await controlData(cluster, directory);
  for (const name of (await readdir(wal)).filter((one) => /^[0-9A-F]{24}$/.test(one) && !one.startsWith(own)))
    await markWal(cluster, wal, name, endOf(name, segmentBytes) <= lsnValue(fork.until) ? 'ready' : 'done');
}

/** Says of a segment or a history that it is to be archived, or was; unless that is said already. */
async function markWal(cluster: Cluster, wal: string, name: string, state: 'ready' | 'done'): Promise<void> {
  const status = join(wal, 'archive_status', name);
  if ((await exists(`${status}.done`)) || (await exists(`${status}.ready`))) return;
  // Its owner's from the first moment: PostgreSQL opens it, and would archive the same file for ever if it could not.
  const what = state === 'ready' ? 'marking WAL to be archived' : 'marking WAL of the old timeline';
  await writeWhole(`${status}.${state}`, '', { owner: await dataOwner(cluster), mode: 0o600, what });
}

async function currentSegment(cluster: Cluster, directory: string): Promise<string> {
  const { text } = await controlData(cluster, directory);
  return /^Latest checkpoint's REDO WAL file:\s+(\S+)/m.exec(text)?.[1] ?? '';
}

/**
 * In place it must be what was verified beside: up, writable for Lifeboat alone, on its timeline, with the plan's
 * queries in order.
 */
async function verifyInPlace(cluster: Cluster, timeline: number): Promise<void> {
  const wrong = await withClient(cluster, { statementTimeout: 0 }, async (client) => {
    const found: string[] = [];
    if (await one<boolean>(client, 'select pg_is_in_recovery()')) found.push('it is in recovery');
    await client.query('checkpoint');
    const now = (await controlData(cluster, cluster.dataDirectory)).timeline;
    if (now !== timeline) found.push(`it is on timeline ${now} and not ${timeline}`);
    if ((await one<string>(client, `select current_setting('archive_mode')`)) === 'off')
      found.push('archive_mode is off');
    // The plan's own queries are not asked again: a person has seen what they gave beside, and approved with it.
    found.push(...(await readCatalog(client)));
    await readCanary(client);
    return found;
  });
  await proveClosed(cluster);
  if (wrong.length > 0)
    throw failure(
      'VerificationFailed',
      `in place it does not verify: ${wrong.join('; ')}`,
      'The old directory is put back; then decide.',
    );
}

/**
 * Puts the damaged directory back where it was and keeps the restored one aside. Used when the restored copy does not
 * start in place, and by a roll-back while the incident is open. What is in place is left closed.
 */
export const putBack = (context: HostContext): Capability<PlaceInput, Placed> => ({
  async rehearse({ database, incident }) {
    const { quarantine } = sides(clusterOf(context, database), incident);
    return Promise.resolve({
      summary: 'nothing was moved',
      host: context.host,
      quarantine,
      bytes: 0,
      canGoBack: false,
      warnings: [],
    });
  },

  async execute({ database, incident }) {
    const cluster = clusterOf(context, database);
    const { place, restored, quarantine, aside } = sides(cluster, incident);
    await demandClaim(cluster, incident);
    if (await exists(quarantine)) {
      if (await exists(place)) {
        // Closed before it is moved: whoever starts it later finds that nobody may write to it.
        await putFence(cluster, incident, place);
        await stopServer(cluster);
        await move(place, aside, 'moving the restored directory aside');
      }
      await move(quarantine, place, 'moving the old directory back');
    } else if (
      !(await exists(place)) ||
      (!(await exists(aside)) && ((await wasPlaced(scratchOf(cluster, incident))) || !(await exists(restored))))
    ) {
      throw failure(
        'WrongTarget',
        `${quarantine} is not there: there is nothing to put back`,
        'Somebody moved or removed it. Look at the host before you decide anything; what is in place was not touched.',
      );
    }
    await putFence(cluster, incident);
    await checkpoint('before starting the old directory');
    // It may be what was damaged: that it does not start is no news, and must not hide why it was put back.
    const down = await startClosed(cluster).then(
      () => '',
      (error: unknown) => {
        if (!isFailure(error, 'ServerFailed') && !isFailure(error, 'CommandFailed')) throw error;
        return ` (it does not start: ${error.message})`;
      },
    );
    await noteInPlace(cluster, {
      rolledBack: true,
      from: (await readMark(scratchOf(cluster, incident)))?.restored?.timeline,
    });
    const kept = (await exists(aside)) ? aside : restored;
    const bytes = (await exists(kept)) ? await treeBytes(kept) : 0;
    return {
      summary: `the old directory is back in place, closed${down}; the restored one is at ${kept}`,
      host: context.host,
      quarantine: kept,
      bytes,
      canGoBack: false,
      warnings: [],
    };
  },
});

export interface Place {
  summary: string;
  host: string;
  /** Which directory is production's now. */
  inPlace: 'as it was' | 'restored';
  /** Where the other one lies, when there is one. */
  quarantine: string | null;
  bytes: number;
}

/**
 * Looks at what an ended incident left, and says it. Between the two renames there is no database at all: then the old
 * one is put back, since nobody verified the other in its place.
 */
export const settlePlace = (context: HostContext): Capability<PlaceInput & { placed: boolean }, Place> => ({
  rehearse: () =>
    Promise.resolve({
      summary: 'nothing was moved',
      host: context.host,
      inPlace: 'as it was',
      quarantine: null,
      bytes: 0,
    }),
  async execute({ database, incident, placed }) {
    const cluster = clusterOf(context, database);
    const { place, restored, quarantine, aside } = sides(cluster, incident);
    if (!(await exists(place)) && (await exists(quarantine))) {
      await demandClaim(cluster, incident);
      await move(quarantine, place, 'moving the old directory back');
    }
    const kept = [quarantine, restored, aside];
    const there = await Promise.all(kept.map(exists));
    // Put in place once, and neither put back nor in quarantine: somebody took the other one away.
    const inPlace = there[0] || (placed && !there[2]) ? 'restored' : 'as it was';
    const other = kept.find((_, at) => there[at]) ?? null;
    const what =
      inPlace === 'restored'
        ? 'the restored copy is in place, the damaged one in quarantine'
        : 'the damaged database is where it was';
    return {
      summary: `${what}${other ? `; kept at ${other}` : ''}`,
      host: context.host,
      inPlace,
      quarantine: other,
      bytes: other ? await treeBytes(other) : 0,
    };
  },
});
