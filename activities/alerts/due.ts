import { Cron } from 'croner';
import type { BackupType, BackupListing, BackupRecord } from '../../vocabulary/backup.js';
import { sentenceList } from '../../plan/words.js';
import { formatDuration } from '../../vocabulary/units.js';
import type { Alert } from '../../vocabulary/alert.js';
import type { Component } from './components.js';
import { unseen } from './check.js';

/** A backup that is due may take this long before it is late; milliseconds. */
const longestGrace = 3_600_000;

/**
 * The last moment at which something was due and by now must be there: after a grace of an hour, or half of the
 * interval when that is shorter, and of half as much again as it takes (`tookSeconds`). Undefined when there was none
 * yet. Read in the timezone of the plan, daylight saving included, as Temporal reads the schedule itself.
 */
export function lastDue(cron: string, timezone: string, now: Date, tookSeconds = 0): Date | undefined {
  const runs = new Cron(cron, { timezone }).previousRuns(50, now);
  return runs.find((due, at) => {
    const before = runs[at + 1];
    const grace =
      Math.min(longestGrace, before ? (due.getTime() - before.getTime()) / 2 : longestGrace) + tookSeconds * 1500;
    return now.getTime() > due.getTime() + grace;
  });
}

/** A backup that holds more than was asked for will do. */
const covers: Partial<Record<BackupType, BackupRecord['type'][]>> = {
  differential: ['full', 'differential'],
  incremental: ['full', 'differential', 'incremental'],
};

/** What is missing at which location; locations that cannot be read are named, and are not said to miss anything. */
export function lateBackups(
  component: Component,
  { backups, unreadable }: BackupListing,
  timezone: string,
  now: Date,
): Alert[] {
  const { kind, name, schedules } = component;
  const found: Alert[] = Object.entries(unreadable).map(([location, why]) =>
    unseen(
      `${kind} backups of ${name}/at ${location}`,
      why,
      'Is the location up, and are its credentials there? Then: lifeboat doctor',
    ),
  );
  const readable = component.locations.filter((location) => unreadable[location] === undefined);
  for (const { type, cron } of schedules) {
    const sound = backups.filter((one) => (covers[type] ?? [type]).includes(one.type as BackupType) && !one.damaged);
    // One that runs now is not late yet.
    const due = lastDue(cron, timezone, now, sound.find((one) => one.type === type)?.seconds);
    if (!due) continue;
    const missing = readable.filter(
      (location) => !sound.some((one) => one.location === location && Date.parse(one.timestamp) >= due.getTime()),
    );
    if (missing.length === 0) continue;
    const newest = missing.map((location) => {
      const [last] = sound
        .filter((one) => one.location === location)
        .sort((a, b) => b.timestamp.localeCompare(a.timestamp));
      return `${location} (${last ? `the newest is ${formatDuration((now.getTime() - Date.parse(last.timestamp)) / 1000)} old` : 'there is none'})`;
    });
    const everywhere = missing.length === component.locations.length;
    found.push({
      key: `late/${kind}/${name}/${type}`,
      severity: everywhere ? 'critical' : 'warning',
      title: `the ${type} backup of ${name} is late at ${sentenceList(missing)}`,
      text: `It was due at ${due.toISOString()} and is missing at ${sentenceList(newest)}. Take one now, and see why it fails: lifeboat backup create --${kind === 'physical' || kind === 'logical' ? `${type} --database` : kind} ${name}. Are the schedules applied? lifeboat schedules list`,
    });
  }
  return found;
}

/**
 * Of files and Redis all that came since the newest backup is lost with their host: older than the RPO, that is missed
 * already.
 */
export function behindRpo({ kind, name, rpo }: Component, { backups, unreadable }: BackupListing, now: Date): Alert[] {
  const newest = backups
    .filter(({ damaged }) => !damaged)
    .map(({ timestamp }) => timestamp)
    .sort()
    .at(-1);
  const age = newest === undefined ? Infinity : (now.getTime() - Date.parse(newest)) / 1000;
  // What cannot be read is told by itself: there may be a newer one.
  if (rpo === undefined || age <= rpo || Object.keys(unreadable).length > 0) return [];
  const is = newest === undefined ? 'there is no sound backup' : `the newest backup is ${formatDuration(age)} old`;
  return [
    {
      key: `rpo/${kind}/${name}`,
      severity: 'critical',
      title: `${kind} ${name}: ${is}, and its RPO is ${formatDuration(rpo)}`,
      text: `If its host were lost now, that much would be lost with it. Take one: lifeboat backup create --${kind} ${name}. If none failed, its schedule is too slow for its RPO: correct one of them in the plan, then: lifeboat schedules apply`,
    },
  ];
}

/** The newest proof that a backup can be restored is older than the schedule of its verification allows. */
export function unverified(component: Component, { backups }: BackupListing, timezone: string, now: Date): Alert[] {
  const due = component.verification === undefined ? undefined : lastDue(component.verification, timezone, now);
  // A backup that came after it could not have been verified then.
  if (!due || !backups.some((one) => Date.parse(one.timestamp) < due.getTime())) return [];
  const proofs = backups
    .flatMap(({ verified, restored }) => [verified?.at, restored?.at])
    .filter((at) => at !== undefined);
  const last = proofs.sort().at(-1);
  if (last !== undefined && Date.parse(last) >= due.getTime()) return [];
  return [
    {
      key: `unverified/${component.kind}/${component.name}`,
      severity: 'warning',
      title: `no ${component.kind} backup of ${component.name} was verified since ${last ?? 'ever'}`,
      text: `A verification was due at ${due.toISOString()}. Whether these backups can be restored, nobody knows. Verify them: lifeboat backup verify. Are the schedules applied? lifeboat schedules list`,
    },
  ];
}
