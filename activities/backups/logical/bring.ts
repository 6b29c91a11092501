import type { BackupRecord } from '../../../workflows/messages.js';
import type { Archive, Beside } from './fetch.js';
import { createEmpty, load, loadBeside, type Loading } from './load.js';

export interface Bringing extends Omit<Loading, 'archive'> {
  /** Removes what a try before this one has made of the database. */
  clear: () => Promise<void>;
  /** The database is there, and still empty. */
  begun?: () => Promise<void>;
}

/**
 * Loads a dump into a new database. `fetch` brings it here: a local file, or what `fetchArchive` finds at a location, which asks what it is to be
 * loaded by meanwhile. Returns it, with what people should know.
 *
 * Several connections load several tables at once, and need the whole file for it. Where one table has most of the rows they have nothing to share
 * out, and its rows are loaded while they are fetched: in the time of the slower of the two, and not of both.
 */
export async function bring(
  bringing: Bringing,
  fetch: (beside: (archive: Archive) => Promise<Beside | undefined>) => Promise<Archive>,
): Promise<{ archive: Archive; notes: string[] }> {
  let notes: string[] = [];
  let loaded: Archive | undefined;
  const begin = async (archive: Archive): Promise<Loading> => {
    await bringing.clear();
    notes = await createEmpty({ ...bringing, archive });
    await bringing.begun?.();
    return { ...bringing, archive };
  };
  const archive = await fetch(async (archive) => {
    if (!oneHasMost(archive.record)) return undefined;
    loaded = archive;
    return loadBeside(await begin(archive), bringing.clear);
  });
  const beside = loaded === archive;
  const loading = beside ? { ...bringing, archive } : await begin(archive);
  await load(loading, archive.record?.dataBytes ?? 0, beside);
  return { archive, notes };
}

const oneHasMost = (record: BackupRecord | undefined): boolean => (record?.made?.largest ?? 0) > 0.5;
