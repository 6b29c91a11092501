import type { BackupListing, BackupRecord } from '../../vocabulary/backup.js';

/**
 * Bytes of JSON; Temporal takes 2 MB in one answer. Source: docs.temporal.io, "Temporal Cloud limits" and "Self-hosted
 * defaults", blob size limit.
 */
const most = 1_000_000;

/**
 * As much of a listing as one answer of an activity holds, from this backup on. Where not all of it fits, what is long
 * in a record and says nothing of whether it can be restored (row counts, digests of its files) is left out; `next` is
 * where the next page begins.
 */
export function pageOf({ backups, unreadable }: BackupListing, after?: string): BackupListing {
  // Gone since, the list begins anew: whoever asks knows what it has already.
  const left = after === undefined ? backups : backups.slice(backups.findIndex((one) => keyOf(one) === after) + 1);
  if (bytesOf({ backups: left, unreadable }) <= most) return { backups: left, unreadable };
  const page: BackupRecord[] = [];
  let bytes = bytesOf(unreadable);
  for (const record of left) {
    const short = shortened(record);
    bytes += bytesOf(short);
    if (bytes > most && page.length > 0) return { backups: page, unreadable, next: keyOf(page.at(-1)!) };
    page.push(short);
  }
  return { backups: page, unreadable };
}

/** What a backup is known by: the list may have changed between two pages. */
const keyOf = ({ timestamp, id, location }: BackupRecord): string => `${timestamp} ${id} ${location}`;

const bytesOf = (of: unknown): number => Buffer.byteLength(JSON.stringify(of));

function shortened({
  rows: _rows,
  refs: _refs,
  made: _made,
  files: _files,
  schema,
  ...record
}: BackupRecord): BackupRecord {
  const failed = schema?.failed?.slice(0, 5);
  return { ...record, files: [], ...(schema ? { schema: { ...schema, ...(failed ? { failed } : {}) } } : {}) };
}
