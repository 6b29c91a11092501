import { formatDuration } from '../../vocabulary/units.js';
import type { BackupListing, BackupRecord } from '../../vocabulary/backup.js';
import type { Check } from '../../vocabulary/check.js';

/**
 * What doctor says of the backups of one component: the newest sound one at each location, whether it was verified, and
 * how fast one restored.
 */
export function backupCheck(
  { backups, unreadable }: BackupListing,
  locations: string[],
  now = Date.now(),
): Pick<Check, 'result' | 'says' | 'hint'> {
  const ago = (at: string) => formatDuration(Math.max(0, (now - Date.parse(at)) / 1000));
  const sound = backups.filter(({ damaged }) => !damaged);
  const newest = locations.map((location) => ({ location, backup: sound.find((one) => one.location === location) }));
  const missing = newest
    .filter(({ backup, location }) => !backup && !(location in unreadable))
    .map(({ location }) => location);
  const restored = latest(sound, ({ restored: of }) => of?.at);
  const verified = latest(sound, ({ verified: of }) => of?.at);
  const says = [
    ...newest.flatMap(({ location, backup }) => (backup ? [`${location}: newest ${ago(backup.timestamp)} old`] : [])),
    ...missing.map((location) => `${location}: NONE`),
    ...Object.entries(unreadable).map(([location, why]) => `${location} cannot be read: ${why}`),
    verified ? `verified ${ago(verified.verified!.at)} ago` : 'never verified',
    restored
      ? `last restored in ${formatDuration(restored.restored!.seconds)}, ${ago(restored.restored!.at)} ago`
      : 'never restored',
  ].join('; ');
  if (sound.length === 0) return { result: 'fail', says, hint: 'Take one: lifeboat backup create' };
  const damaged = backups.length - sound.length;
  if (damaged > 0)
    return { result: 'warn', says: `${says}; ${damaged} DAMAGED`, hint: 'See which: lifeboat backup list' };
  if (missing.length > 0 || Object.keys(unreadable).length > 0)
    return { result: 'warn', says, hint: 'See why: lifeboat backup list; then: lifeboat backup create' };
  if (!verified && !restored) return { result: 'warn', says, hint: 'Verify them: lifeboat backup verify' };
  return { result: 'pass', says };
}

function latest(backups: BackupRecord[], at: (backup: BackupRecord) => string | undefined): BackupRecord | undefined {
  return backups.filter((one) => at(one) !== undefined).sort((a, b) => at(b)!.localeCompare(at(a)!))[0];
}
