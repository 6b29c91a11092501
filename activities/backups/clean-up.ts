import type { BackupKind, BackupRecord } from '../../vocabulary/backup.js';
import { kept } from '../../vocabulary/retention.js';
import { formatBytes } from '../../vocabulary/units.js';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { claimedBy } from '../postgres/claim.js';
import { clusterOf } from '../postgres/cluster.js';
import type { CleanUpResult } from '../../vocabulary/backup-work.js';
import { withLocation } from '../locations/open.js';
import { clearLeft } from './abandoned-files.js';
import { type BackupProvider, type Expirable } from './provider.js';
import { providerOf } from './providers.js';
import { readRecords } from './record.js';
import { handedPrefix } from './standby-wal.js';

/** Removes the backups that the plan keeps no longer. Its rehearsal only says which. */
export const cleanUp = (context: HostContext): Capability<{ kind: BackupKind; component: string }, CleanUpResult> => ({
  rehearse: ({ kind, component }) => cleaned(context, providerOf(kind), component, () => Promise.resolve()),
  async execute({ kind, component }) {
    const result = await cleaned(context, providerOf(kind), component, async (location, ids) => {
      await demandNoIncident(context, kind, component);
      await checkpoint('before removing backups');
      await providerOf(kind).remove(context, component, location, ids);
      await checkpoint('after removing backups');
    });
    await finishRemovals(context, kind, component, Object.keys(result.kept));
    return result;
  },
});

/**
 * A record goes before its files, and one whose record is gone is listed no more: the files that a killed attempt has
 * left go now. Only those that are older than the newest backup there: what is being taken has no record either.
 */
async function finishRemovals(
  context: HostContext,
  kind: BackupKind,
  component: string,
  locations: string[],
): Promise<void> {
  // No incident is open: what a standby handed over for one is wanted by nobody any more.
  const handed = handedPrefix(context.plan.system, component);
  for (const name of kind === 'physical' ? locations : [])
    await withLocation(context, name, async (location) => {
      for (const left of await location.list(handed)) await location.remove(left.name);
    });
  if (kind !== 'logical' && kind !== 'code') return;
  const of = { system: context.plan.system, kind, component };
  for (const name of locations)
    await withLocation(context, name, async (location) => {
      const [newest] = await readRecords(location, of.system, kind, component);
      if (newest) await clearLeft(location, of, newest.id);
    });
}

async function cleaned(
  context: HostContext,
  provider: BackupProvider,
  component: string,
  remove: (location: string, ids: string[]) => Promise<void>,
): Promise<CleanUpResult> {
  await demandNoIncident(context, provider.kind, component);
  const { backups, unreadable } = await provider.list(context, component);
  const rules = provider.keep?.(context, component);
  const byRules = () => (rules ? expirableBackups(backups, rules, context.plan.timezone) : []);
  const expirable = await (provider.expirable?.(context, component, backups) ?? byRules());
  const failed = Object.entries(unreadable).map(([location, why]) => `${location}: ${why}`);
  const removed: CleanUpResult['removed'] = [];
  for (const location of new Set(expirable.map((one) => one.location))) {
    const here = expirable.filter((one) => one.location === location);
    progress({ what: `removing ${here.length} backups at ${location}` });
    try {
      await remove(
        location,
        here.map(({ id }) => id),
      );
      for (const { id, why } of here) {
        const { type, timestamp, size } = backups.find((one) => one.id === id && one.location === location)!;
        removed.push({ id, location, type, timestamp, size, why });
      }
    } catch (error) {
      failed.push(`${location}: ${(error as Error).message}`);
    }
  }
  const keptAt: Record<string, number> = {};
  for (const { id, location } of backups)
    if (!removed.some((one) => one.id === id && one.location === location))
      keptAt[location] = (keptAt[location] ?? 0) + 1;
  const bytes = removed.reduce((sum, { size }) => sum + size, 0);
  return {
    summary: removed.length === 0 ? 'nothing to remove' : `${removed.length} backups, ${formatBytes(bytes)}`,
    removed,
    kept: keptAt,
    failed,
  };
}

/**
 * Which of the backups no rule of the plan keeps, each location by itself. Never: the newest, the newest that was
 * verified or restored, and what one that is kept depends on. Damaged ones do not count as kept, and go when a newer
 * one was verified.
 */
export function expirableBackups(
  backups: BackupRecord[],
  rules: Parameters<typeof kept>[1],
  timezone: string,
  now = new Date(),
): Expirable[] {
  const expirable: Expirable[] = [];
  for (const location of new Set(backups.map((one) => one.location))) {
    const here = backups
      .filter((one) => one.location === location)
      .sort((a, b) => b.timestamp.localeCompare(a.timestamp));
    // A date in the future says nothing of how new it is: it is kept, and stands for no other one.
    const sound = here.filter(({ damaged, timestamp }) => !damaged && Date.parse(timestamp) <= now.getTime());
    const proven = sound.find(({ verified, restored }) => verified !== undefined || restored !== undefined);
    const keep = kept(
      sound.map(({ id, timestamp }) => ({ id, at: new Date(timestamp) })),
      rules,
      now,
      timezone,
    );
    for (const one of [sound[0], proven]) if (one) keep.add(one.id);
    for (const one of here) if (!one.damaged && !sound.includes(one)) keep.add(one.id);
    for (const one of here) if (one.damaged && !(proven && proven.timestamp > one.timestamp)) keep.add(one.id);
    for (const one of here) if (keep.has(one.id)) addNeeded(one, here, keep);
    for (const one of here) {
      if (!keep.has(one.id))
        expirable.push({ id: one.id, location, why: one.damaged ? `damaged: ${one.damaged.why}` : 'no rule keeps it' });
    }
  }
  return expirable;
}

function addNeeded(one: BackupRecord, all: BackupRecord[], keep: Set<string>): void {
  const needed = all.find(({ id }) => id === one.basedOn);
  if (!needed || keep.has(needed.id)) return;
  keep.add(needed.id);
  addNeeded(needed, all, keep);
}

/** While an incident is open nothing is removed: it may yet be restored from. */
async function demandNoIncident(context: HostContext, kind: BackupKind, component: string): Promise<void> {
  if (kind !== 'physical' && kind !== 'logical') return;
  if (context.plan.databases[component]?.postgres.dataDirectory === undefined) return;
  const holder = await claimedBy(clusterOf(context, component));
  if (!holder) return;
  throw failure(
    'BadRequest',
    `no backup of ${component} is removed while incident ${holder} is open on it`,
    'It may be restored from. Clean up when the incident has released the database: lifeboat watch',
  );
}
