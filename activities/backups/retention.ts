import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { physicalOf } from '../../plan/access.js';
import { kept } from '../../vocabulary/retention.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { inTurn } from '../in-turn.js';
import { claimedBy } from '../postgres/claim.js';
import { type Cluster, clusterOf } from '../postgres/cluster.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { BackupSet } from './engine.js';
import type { Expirable } from './provider.js';
import { engineOf, locationsOf, repositoryInfo } from './engines.js';
import { leadingToNow, walIsInOrder } from './leads-to-now.js';
import { dropRecords, recordsAt } from './physical-records.js';
import type { Mark } from './restored-mark.js';
import { readFile } from '../files.js';

/** Backups of one database are taken and removed one after the other on this host. */
export const oneAtATime = <T>(cluster: Cluster, work: () => Promise<T>): Promise<T> =>
  inTurn(`backups of ${cluster.database} in ${cluster.context.state}`, work);

/**
 * What goes at each location by the plan, and why. Changes nothing. A location that cannot be read is left out: nothing
 * of it goes.
 */
export function expirablePhysical(context: HostContext, component: string): Promise<Expirable[]> {
  const cluster = clusterOf(context, component);
  return expirableAt(cluster, locationsOf(cluster));
}

async function expirableAt(cluster: Cluster, asked: string[]): Promise<Expirable[]> {
  const { backups, unreadable } = await repositoryInfo(cluster, asked);
  const [used, leading] = await Promise.all([inUse(cluster), leadingToNow(cluster)]);
  const chosen = asked
    .filter((location) => !(location in unreadable))
    .map(async (location) => {
      // Without the records nobody knows which was verified: then nothing goes.
      const records = await recordsAt(cluster, location).catch(() => undefined);
      const here = backups.filter((backup) => backup.location === location);
      const going = records ? choose(cluster, location, { backups: here, records, used }) : [];
      // Nothing goes unless one that stays is proven to lead to now: after a roll-back the newest may be of a copy that
      // was given up.
      const stays = here.filter(({ label }) => !going.some(({ id }) => id === label));
      return stays.some(({ label }) => leading.some((one) => one.label === label && one.location === location))
        ? going
        : [];
    });
  return (await Promise.all(chosen)).flat();
}

interface Known {
  backups: BackupSet[];
  records: Map<string, BackupRecord>;
  /** Labels that are being restored from. */
  used: Set<string>;
}

/**
 * The rules: the newest `full` full ones, the newest of each day and month, and what is based on them as long as
 * `incremental` says. A full one that is damaged counts for nothing, so as many sound ones are kept as the plan wants.
 * Never the last verified good full one, nor what another needs.
 */
function choose(cluster: Cluster, location: string, { backups, records, used }: Known): Expirable[] {
  const { keep } = physicalOf(cluster.plan);
  const now = new Date();
  const { timezone } = cluster.context.plan;
  const isSound = ({ label, pageErrors }: BackupSet) => !pageErrors && !records.get(label)?.damaged;
  const dated = (sets: BackupSet[]) =>
    sets.map(({ label, stoppedAt }) => ({ id: label, at: new Date(stoppedAt * 1000) }));
  const full = backups.filter(({ type }) => type === 'full').sort((a, b) => b.stoppedAt - a.stoppedAt);
  const rules = { last: keep.full, daily: keep.daily, monthly: keep.monthly };
  const keeping = new Set([
    ...kept(dated(full), rules, now, timezone),
    ...kept(dated(full.filter(isSound)), rules, now, timezone),
  ]);

  const good = full.filter(isSound);
  const last = good.find(({ label }) => records.get(label)?.verified) ?? good[0] ?? full[0];
  if (last) keeping.add(last.label);
  for (const { label } of backups) if (used.has(label)) keeping.add(label);

  const byLabel = new Map(backups.map((backup) => [backup.label, backup]));
  const fullOf = (backup: BackupSet): string => {
    const prior = backup.prior === undefined ? undefined : byLabel.get(backup.prior);
    return prior ? fullOf(prior) : (backup.prior ?? backup.label);
  };
  const why = new Map<string, string>();
  for (const backup of backups) {
    if (backup.type === 'full') why.set(backup.label, 'newer ones are kept by the rules of the plan');
    else if (!keeping.has(fullOf(backup))) why.set(backup.label, `its full one, ${fullOf(backup)}, goes`);
    else if (keep.incremental !== undefined && now.getTime() - backup.stoppedAt * 1000 >= keep.incremental * 1000)
      why.set(backup.label, 'it is older than incremental ones are kept');
    else keeping.add(backup.label);
  }
  // What is kept takes along all that it is based on.
  for (const label of [...keeping])
    for (let prior = byLabel.get(label)?.prior; prior; prior = byLabel.get(prior)?.prior) keeping.add(prior);
  return backups
    .filter(({ label }) => !keeping.has(label))
    .sort((a, b) => b.stoppedAt - a.stoppedAt)
    .map(({ label }) => ({ id: label, location, why: why.get(label)! }));
}

/** Backups that copies beside the database are being restored from, by the marks of those copies. */
async function inUse(cluster: Cluster): Promise<Set<string>> {
  const { dataDirectory, context, database } = cluster;
  const scratch = context.plan.hosts[context.host]?.scratch;
  const places = [dataDirectory, ...(scratch ? [join(scratch, `${context.plan.system}-${database}`)] : [])];
  const marks = await Promise.all(places.map(marksBeside));
  return new Set(
    marks
      .flat()
      .filter(({ stage }) => stage === 'files' || stage === 'fetched')
      .map(({ label }) => label),
  );
}

async function marksBeside(dataDirectory: string): Promise<Mark[]> {
  const parent = dirname(dataDirectory);
  const names = (await readdir(parent).catch(() => [])).filter(
    (name) => name.startsWith(`${basename(dataDirectory)}.restored-`) && name.endsWith('.json'),
  );
  const texts = await Promise.all(names.map((name) => readFile(join(parent, name), 'utf8').catch(() => undefined)));
  return texts.flatMap((text) => (text === undefined ? [] : [JSON.parse(text) as Mark]));
}

/**
 * Removes backups from a location, and the WAL that nothing needs any more. Throws Busy, BadRequest; done twice, it is
 * done once.
 */
export function removePhysical(
  context: HostContext,
  component: string,
  location: string,
  ids: string[],
): Promise<void> {
  const cluster = clusterOf(context, component);
  return oneAtATime(cluster, async () => {
    const holder = await claimedBy(cluster);
    if (holder)
      throw failure(
        'Busy',
        `nothing is removed while incident ${holder} is open on ${component}: it may yet be restored from`,
        'Close the incident first.',
      );
    const { backups, unreadable } = await repositoryInfo(cluster, [location]);
    if (unreadable[location] !== undefined)
      throw failure(
        'LocationUnreachable',
        `${location} cannot be read: ${unreadable[location]}`,
        'Try again when it answers.',
      );
    const going = new Set(ids);
    refuse(backups, going, await recordsAt(cluster, location), await inUse(cluster));
    // The record first: what is half removed is listed by the engine alone, and as long as it is whole.
    await dropRecords(cluster, location, ids);
    await engineOf(cluster).remove(cluster, location, ids);
    await expireWal(cluster, location);
  });
}

/** WAL that no backup needs any more, where that can be told by its names. */
async function expireWal(cluster: Cluster, location: string): Promise<void> {
  const { backups } = await repositoryInfo(cluster, [location]);
  if (walIsInOrder(backups, await leadingToNow(cluster))) await engineOf(cluster).expireWal(cluster, location);
}

/** Throws when one of these must stay. */
function refuse(backups: BackupSet[], going: Set<string>, records: Map<string, BackupRecord>, used: Set<string>): void {
  const stays = backups.filter(({ label }) => !going.has(label));
  const dependent = stays.find(({ prior }) => prior !== undefined && going.has(prior));
  if (dependent)
    throw failure(
      'BadRequest',
      `${dependent.label} is based on ${dependent.prior}, which is to go`,
      'Remove both, or neither.',
    );
  const busy = backups.find(({ label }) => going.has(label) && used.has(label));
  if (busy) throw failure('Busy', `${busy.label} is being restored from`, 'Try again when that is done.');
  const isGood = ({ label, type, pageErrors }: BackupSet) =>
    type === 'full' && !pageErrors && !records.get(label)?.damaged;
  const verified = backups.filter((backup) => isGood(backup) && records.get(backup.label)?.verified);
  const good = verified.length > 0 ? verified : backups.filter(isGood);
  if (good.length > 0 && good.every(({ label }) => going.has(label)))
    throw failure(
      'BadRequest',
      `${good[0]!.label} is the last good full backup there, and stays`,
      'Take and verify another one first.',
    );
}

/**
 * At the end of a backup: what the plan no longer keeps at a location goes. Called while {@link oneAtATime} is held.
 */
export async function expire(cluster: Cluster, location: string): Promise<void> {
  const ids = (await expirableAt(cluster, [location])).map(({ id }) => id);
  if (ids.length > 0) {
    await dropRecords(cluster, location, ids);
    await engineOf(cluster).remove(cluster, location, ids);
  }
  await expireWal(cluster, location);
}
