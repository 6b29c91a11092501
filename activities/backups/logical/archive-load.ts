import type { BackupRecord } from '../../../vocabulary/backup.js';
import type { Archive, Beside } from './fetch.js';
import { createEmpty, load, loadBeside, type Loaded, type Loading, mayLoadBeside } from './load.js';
import { restorerFor } from './restorer.js';

export interface Bringing extends Omit<Loading, 'archive' | 'programs'> {
  /** The server's major version. */
  server: number;
  /** Removes what a try before this one has made of the database. */
  clear: () => Promise<void>;
  /** The database is there, and still empty. */
  begun?: () => Promise<void>;
}

/**
 * Loads a dump into a new database. `fetch` brings it here: a local file, or what `fetchArchive` finds at a location,
 * which asks what it is to be loaded by meanwhile. Returns it, with what people should know and what was left out.
 * Throws ToolMissing where no program here reads its format.
 *
 * Several connections load several tables at once, and need the whole file for it. Where one table has most of the rows
 * they have nothing to share out, and its rows are loaded while they are fetched: in the time of the slower of the two,
 * and not of both.
 */
export async function bring(
  bringing: Bringing,
  fetch: (beside: (archive: Archive) => Promise<Beside | undefined>) => Promise<Archive>,
): Promise<Loaded & { archive: Archive }> {
  let notes: string[] = [];
  let loaded: Archive | undefined;
  const loadingOf = async (archive: Archive): Promise<Loading> => ({
    ...bringing,
    archive,
    programs: await restorerFor(bringing.server, archive, bringing.source.plan.postgres.binDirectory),
  });
  const begin = async (loading: Loading): Promise<Loading> => {
    await bringing.clear();
    notes = await createEmpty(loading);
    await bringing.begun?.();
    return loading;
  };
  const archive = await fetch(async (archive) => {
    if (!oneHasMost(archive.record)) return undefined;
    const loading = await loadingOf(archive);
    if (!mayLoadBeside(loading)) return undefined;
    loaded = archive;
    return loadBeside(await begin(loading), bringing.clear);
  });
  const beside = loaded === archive;
  const loading = await loadingOf(archive);
  const { notes: says, leftOut } = await load(
    beside ? loading : await begin(loading),
    archive.record?.dataBytes ?? 0,
    beside,
  );
  return { archive, notes: [...notes, ...says], leftOut };
}

const oneHasMost = (record: BackupRecord | undefined): boolean => (record?.made?.largest ?? 0) > 0.5;
