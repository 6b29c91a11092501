import type { BackupRecord } from '../../../vocabulary/backup.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import type { Location } from '../../locations/location.js';
import { withLocation } from '../../locations/open.js';
import { readRecords, recordName, writeRecord } from '../record.js';

/** What is found of a dump later, noted in its record. */

/** The record is replaced whole. One that was removed meanwhile is not brought back. */
export async function keepNote(location: Location, record: BackupRecord): Promise<void> {
  if (!(await location.find(recordName(record)))) return;
  await checkpoint('before noting in a record');
  await writeRecord(location, record);
  await checkpoint('after noting in a record');
}

/**
 * It was restored for real and verified, on this host: what `backup list` shows as its proof. `began`: in milliseconds
 * since 1970.
 */
export async function noteRestored(context: HostContext, record: BackupRecord, began: number): Promise<void> {
  const restored = {
    at: new Date().toISOString(),
    seconds: Math.round((Date.now() - began) / 100) / 10,
    host: context.host,
  };
  await withLocation(context, record.location, async (location) => {
    // As it is now: it may have been found damaged, or been removed, while it was restored.
    const now = (await readRecords(location, record.system, record.kind, record.component)).find(
      ({ id }) => id === record.id,
    );
    if (now && now.type !== 'unknown') await keepNote(location, { ...now, restored });
  });
}
