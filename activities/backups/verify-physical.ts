import { type Capability, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { backupClusterOf, type Cluster } from '../postgres/cluster.js';
import type { VerifyRequest, VerifyResult } from '../../vocabulary/backup-work.js';
import { engineOf, locationsOf, repositoryInfo } from './engines.js';
import { readable, note, recordsOf } from './physical-records.js';
import { recordName } from './record.js';

type Found = Pick<VerifyResult, 'damaged'> & { sound: string[] };

/**
 * Reads every file of every backup at every location (or one) and compares its checksum. What is damaged is named, and
 * noted in the records, which a recovery heeds; what is whole again is noted too. One backup alone cannot be read by
 * every engine: asked for one, all are read, and that one told.
 */
export const verifyPhysical = (context: HostContext): Capability<VerifyRequest, VerifyResult> => ({
  rehearse: (request) => verifyAll(backupClusterOf(context, request.component), request, false),
  execute: (request) => verifyAll(backupClusterOf(context, request.component), request, true),
});

async function verifyAll(
  cluster: Cluster,
  { id, location: only }: VerifyRequest,
  noting: boolean,
): Promise<VerifyResult> {
  const locations = locationsOf(cluster).filter((one) => !only || one === only);
  const damaged: VerifyResult['damaged'] = [];
  const failed: string[] = [];
  let sound = 0;
  for (const location of locations) {
    progress({ what: `verifying every file at ${location}` });
    try {
      const found = await verifyAt(cluster, location, noting);
      sound += found.sound.filter((label) => !id || label === id).length;
      damaged.push(...found.damaged.filter((one) => !id || one.id === id));
    } catch (error) {
      failed.push(`${location}: ${(error as Error).message}`);
    }
  }
  const [first] = damaged;
  const says = first
    ? `damaged at ${first.location}: ${first.id || 'WAL'}${first.file ? ` (${first.file})` : ''}: ${first.why}`
    : `${sound} ${sound === 1 ? 'backup is' : 'backups are'} whole at ${locations.filter((one) => !failed.some((line) => line.startsWith(`${one}: `))).join(', ') || 'no location'}`;
  return { summary: failed.length > 0 ? `${says}; NOT looked at: ${failed.join('; ')}` : says, sound, damaged, failed };
}

/** Reads everything that a location has, and with `noting` says so in the records: in those of damaged ones, too. */
export async function verifyAt(cluster: Cluster, location: string, noting: boolean): Promise<Found> {
  const found = await engineOf(cluster).verify(cluster, location);
  const { backups } = await repositoryInfo(cluster, [location]);
  const records = (await recordsOf(cluster, [location])).get(location)!;
  const at = new Date().toISOString();
  const damaged: VerifyResult['damaged'] = [];
  const bad = new Map<string, string>();
  for (const { label, file, why } of found.damaged) {
    // What went meanwhile was removed on purpose.
    if (label !== '' && !backups.some((backup) => backup.label === label)) continue;
    damaged.push({ id: label, location, file, why });
    if (label !== '' && !bad.has(label)) bad.set(label, file ? `${why}: ${file}` : why);
    // WAL that a backup needs to become consistent is a part of it.
    const segment = label === '' ? /([0-9A-F]{24})/.exec(file)?.[1] : undefined;
    for (const backup of segment ? backups : [])
      if (backup.walStart <= segment! && segment! <= backup.walStop && !bad.has(backup.label)) {
        bad.set(backup.label, `WAL that it needs: ${why}: ${file}`);
        damaged.push({ id: backup.label, location, file, why: `WAL that it needs: ${why}` });
      }
  }
  const sound = found.sound.filter((label) => !bad.has(label));
  for (const backup of backups) {
    const record = records.get(backup.label);
    if (record && !readable(record)) {
      const { system } = cluster.context.plan;
      const file = recordName({ system, kind: 'physical', component: cluster.database, id: backup.label });
      damaged.push({ id: backup.label, location, file, why: record.damaged?.why ?? 'it cannot be read' });
    }
    if (!noting) continue;
    const why = bad.get(backup.label);
    // The record is written anew from what the engine knows, whatever it was.
    if (why) await note(cluster, backup, { damaged: { at, why } }, records);
    else if (sound.includes(backup.label)) await note(cluster, backup, { verified: { at } }, records);
  }
  return { sound, damaged };
}
