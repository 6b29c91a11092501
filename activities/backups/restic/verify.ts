import type { HostContext } from '../../context.js';
import type { Location } from '../../locations/location.js';
import type { BackupKind, BackupRecord } from '../../../vocabulary/backup.js';
import type { VerifyRequest, VerifyResult } from '../../../vocabulary/backup-work.js';
import { verifyEverywhere } from '../all-locations.js';
import { backupPrefix, writeRecord } from '../record.js';
import { flawsOf } from './check.js';
import { hasRepository } from './init.js';
import { inRepository, repositoryOf } from './repository.js';
import { isOf, type Snapshot, snapshotsWith } from './snapshots.js';
import { componentTag, idTag } from './take.js';

/**
 * Verifies the backups of a component that lie in restic, at every location of it: every byte is read, once for all of
 * them.
 */
export function verifySnapshots(
  context: HostContext,
  kind: BackupKind,
  request: VerifyRequest,
  locations: string[],
): Promise<VerifyResult> {
  return verifyEverywhere(context, kind, request, locations, async (location, records, result) => {
    if (records.length > 0) await verifyAt(context, location, records, result);
  });
}

async function verifyAt(
  context: HostContext,
  location: Location,
  records: BackupRecord[],
  result: VerifyResult,
): Promise<void> {
  const repository = await repositoryOf(context, location.name);
  if (!(await hasRepository(repository, location))) {
    for (const record of records)
      await note(location, record, { file: inRepository('config'), why: 'the repository is not there' }, result);
    return;
  }
  const [{ kind, component }] = records as [BackupRecord];
  const snapshots = await snapshotsWith(repository, componentTag(context, kind, component));
  const flaws = await flawsOf(repository, location, snapshots, { readData: true });
  for (const record of records) {
    const flaw = flaws.find(({ snapshot }) => snapshot === record.snapshot);
    await note(location, record, misplaced(record, snapshots) ?? flaw, result);
  }
}

/** Whether the record is of the snapshot that it names. */
function misplaced(record: BackupRecord, snapshots: Snapshot[]): { file: string; why: string } | undefined {
  const file = inRepository(`snapshots/${record.snapshot ?? ''}`);
  const snapshot = snapshots.find(({ id }) => id === record.snapshot);
  if (!snapshot) return { file, why: 'it is not there, or cannot be read' };
  if (!isOf(snapshot, idTag(record.id))) return { file, why: 'it is not of this backup: the records were swapped' };
  return undefined;
}

async function note(
  location: Location,
  record: BackupRecord,
  flaw: { file: string; why: string } | undefined,
  result: VerifyResult,
): Promise<void> {
  const at = new Date().toISOString();
  // A record that cannot be believed stays as it is: it is the evidence.
  if (record.type === 'unknown') {
    result.damaged.push({
      id: record.id,
      location: location.name,
      file: backupPrefix(record).replace(/\/$/, '.meta.json'),
      why: record.damaged!.why,
    });
    return;
  }
  const { damaged: _, ...rest } = record;
  if (flaw) {
    const { verified: __, ...unverified } = rest;
    result.damaged.push({ id: record.id, location: location.name, ...flaw });
    await writeRecord(location, { ...unverified, damaged: { at, why: `${flaw.file}: ${flaw.why}` } });
  } else {
    result.sound += 1;
    await writeRecord(location, { ...rest, verified: { at } });
  }
}
