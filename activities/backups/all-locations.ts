import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { cancelled } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import type { Location } from '../locations/location.js';
import { withLocation } from '../locations/open.js';
import type { BackupListing, BackupRecord, BackupKind } from '../../vocabulary/backup.js';
import type { BackupResult, TakeRequest, VerifyRequest, VerifyResult } from '../../vocabulary/backup-work.js';
import { backupId, readRecords } from './record.js';

/**
 * What is the same for every kind that goes to its locations one after the other: which have it already, which fail,
 * what is said.
 */

export interface Asked extends TakeRequest {
  kind: Exclude<BackupKind, 'physical'>;
  locations: string[];
}

/**
 * Takes a backup at each location that does not have it of this run yet. A location that fails is named, and the others
 * go on. Throws when none has it: the failure of the first one. `takeAt` reads it back, writes its record and returns
 * it. `note`: said at the end of the summary.
 */
export async function takeEverywhere(
  context: HostContext,
  { kind, component, run, locations }: Asked,
  takeAt: (location: Location, backup: { id: string; began: Date }) => Promise<BackupRecord>,
  note: () => string = () => '',
): Promise<BackupResult> {
  const began = new Date();
  const errors = new Map<string, unknown>();
  const records = new Map<string, BackupRecord[]>();
  for (const name of locations) {
    try {
      records.set(
        name,
        await withLocation(context, name, (location) => readRecords(location, context.plan.system, kind, component)),
      );
    } catch (error) {
      stopIfCancelled(error);
      errors.set(name, error);
    }
  }
  const all = [...records.values()].flat();
  const ofThisRun = (name: string) => records.get(name)?.find((record) => record.run === run && !record.damaged);
  const backup = { id: all.find((record) => record.run === run)?.id ?? (await freeId(began, all)), began };
  const taken: BackupRecord[] = [];
  for (const name of records.keys()) {
    try {
      taken.push(ofThisRun(name) ?? (await withLocation(context, name, (location) => takeAt(location, backup))));
    } catch (error) {
      stopIfCancelled(error);
      errors.set(name, error);
    }
  }
  const failed = locations
    .filter((name) => errors.has(name))
    .map((name) => `${name}: ${(errors.get(name) as Error).message}`);
  const [first] = taken;
  if (!first) throw none([...errors.values()], failed);
  const at = taken.map(({ location }) => location);
  const missing = failed.length > 0 ? `; NOT at ${failed.join('; ')}` : '';
  const verifySeconds = taken.reduce((sum, record) => sum + (record.verifySeconds ?? 0), 0);
  return {
    id: first.id,
    type: kind,
    component,
    locations: at,
    bytes: first.dataBytes ?? first.size,
    seconds: Math.round((Date.now() - began.getTime()) / 100) / 10,
    ...(verifySeconds > 0 ? { verifySeconds: Math.round(verifySeconds * 10) / 10 } : {}),
    summary: `${kind} backup ${first.id} at ${at.join(', ')}${missing}${note()}`,
    failed,
  };
}

/** What a rehearsal can say: every location answers, or why it does not. */
export async function couldTake(
  context: HostContext,
  { kind, component, locations }: Asked,
  doubts: string[],
): Promise<BackupResult> {
  const { unreadable } = await listEverywhere(context, kind, component, locations);
  const failed = [...doubts, ...Object.entries(unreadable).map(([name, why]) => `${name}: ${why}`)];
  const summary = failed.length > 0 ? failed.join('; ') : `could be taken at ${locations.join(', ')}`;
  return { id: '', type: kind, component, locations: [], bytes: 0, seconds: 0, summary, failed };
}

/** The records at all locations: newest first, of one backup in the order of the locations. */
export async function listEverywhere(
  context: HostContext,
  kind: BackupKind,
  component: string,
  locations: string[],
): Promise<BackupListing> {
  const backups: BackupRecord[] = [];
  const unreadable: Record<string, string> = {};
  for (const name of locations) {
    try {
      backups.push(
        ...(await withLocation(context, name, (location) =>
          readRecords(location, context.plan.system, kind, component),
        )),
      );
    } catch (error) {
      stopIfCancelled(error);
      unreadable[name] = (error as Error).message;
    }
  }
  backups.sort((a, b) => b.timestamp.localeCompare(a.timestamp) || b.id.localeCompare(a.id));
  return { backups, unreadable };
}

/**
 * Verifies the records of each location (of the one backup or at the one location that was asked for): `verifyAt` adds
 * to the result what it finds. A location that cannot be read is named, and the others still looked at. Throws NoBackup
 * when there is none of that ID.
 */
export async function verifyEverywhere(
  context: HostContext,
  kind: BackupKind,
  { component, id, location: only }: VerifyRequest,
  locations: string[],
  verifyAt: (location: Location, records: BackupRecord[], result: VerifyResult) => Promise<void>,
): Promise<VerifyResult> {
  const result: VerifyResult = { summary: '', sound: 0, damaged: [], failed: [] };
  let found = 0;
  for (const name of locations.filter((one) => !only || one === only)) {
    try {
      await withLocation(context, name, async (location) => {
        const records = (await readRecords(location, context.plan.system, kind, component)).filter(
          (record) => !id || record.id === id,
        );
        found += records.length;
        await verifyAt(location, records, result);
      });
    } catch (error) {
      stopIfCancelled(error);
      result.failed.push(`${name}: ${(error as Error).message}`);
    }
  }
  if (id && found === 0 && result.failed.length === 0) {
    throw failure('NoBackup', `there is no backup ${id} of ${component}`, 'See which there are: lifeboat backup list');
  }
  return { ...result, summary: summaryOf(result) };
}

function summaryOf({ sound, damaged, failed }: VerifyResult): string {
  const parts = [
    ...(sound > 0 || damaged.length + failed.length === 0 ? [`${sound} sound`] : []),
    ...damaged.map(({ id, location, file, why }) => `${id} at ${location} is damaged: ${file}: ${why}`),
    ...failed.map((one) => `not read: ${one}`),
  ];
  return parts.join('; ');
}

/**
 * The records to restore from, in the order in which they are tried: at the location that is named, or at all where it
 * is not known to be damaged, in the order of the plan. At least one. Throws NoBackup, BackupDamaged.
 */
export function picks(
  { backups, unreadable }: BackupListing,
  id: string,
  location: string | undefined,
  locations: string[],
): [BackupRecord, ...BackupRecord[]] {
  const there = backups.filter((record) => record.id === id && (!location || record.location === location));
  const order = (record: BackupRecord) => locations.indexOf(record.location);
  const [first, ...others] = there.filter((record) => !record.damaged).sort((a, b) => order(a) - order(b));
  if (first) return [first, ...others];
  const damaged = there.map((record) => `${record.location}: damaged, ${record.damaged?.why ?? ''}`);
  const why = [...damaged, ...Object.entries(unreadable).map(([name, said]) => `${name} cannot be read: ${said}`)];
  throw failure(
    damaged.length > 0 ? 'BackupDamaged' : 'NoBackup',
    `there is no sound backup ${id}${location ? ` at ${location}` : ''}${why.length > 0 ? ` (${why.join('; ')})` : ''}`,
    'See which there are: lifeboat backup list',
  );
}

/**
 * Restores from the first place that gives the backup whole. One that turns out to be damaged, that is away or that
 * refuses is named, and the next one tried. Throws the failure of the last one. `told`: the end of a sentence, for
 * people.
 */
export async function fromFirstSound(
  records: BackupRecord[],
  restore: (record: BackupRecord) => Promise<unknown>,
): Promise<{ record: BackupRecord; told: string }> {
  const passedOver: string[] = [];
  for (const [at, record] of records.entries()) {
    try {
      await restore(record);
      return { record, told: passedOver.map((why) => `; NOT from ${why}`).join('') };
    } catch (error) {
      stopIfCancelled(error);
      const { type = '', message } = error as { type?: string; message: string };
      if (at === records.length - 1 || !ofThePlace.has(type)) throw error;
      passedOver.push(`${record.location}: ${message}`);
    }
  }
  throw failure('NoBackup', 'there is no place to restore from', 'See which there are: lifeboat backup list');
}

/** What another location may do better. */
const ofThePlace = new Set(['BackupDamaged', 'LocationUnreachable', 'LocationRefused', 'SecretMissing']);

async function freeId(began: Date, records: BackupRecord[]): Promise<string> {
  const used = new Set(records.map(({ id }) => id));
  const id = backupId(began);
  if (!used.has(id)) return id;
  await pause(1000, undefined, { signal: cancelled() });
  began.setTime(Date.now());
  return freeId(began, records);
}

/** An attempt that was told to end is no failing location. */
export function stopIfCancelled(error: unknown): void {
  if (cancelled()?.aborted) throw error;
}

function none(errors: unknown[], failed: string[]) {
  const [error] = errors;
  const hint =
    (error instanceof ApplicationFailure && (error.details?.[0] as { hint?: string } | undefined)?.hint) ||
    'lifeboat doctor';
  return ApplicationFailure.create({
    type: (error instanceof ApplicationFailure && error.type) || 'CommandFailed',
    message: `no location took the backup: ${failed.join('; ')}`,
    nonRetryable: errors.every((one) => one instanceof ApplicationFailure && one.nonRetryable),
    details: [{ hint }],
  });
}
