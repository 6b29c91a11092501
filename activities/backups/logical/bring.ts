import type { BackupRecord } from '../../../workflows/messages.js';
import type { HostContext } from '../../context.js';
import { type Archive, fetchArchive } from './fetch.js';
import { createEmpty, load, loadBeside, type Loading } from './load.js';

export interface Bringing extends Omit<Loading, 'archive'> {
  context: HostContext;
  /** Where the dump is laid down. */
  folder: string;
  /** Removes what a try before this one has made of the database. */
  clear: () => Promise<void>;
  /** The database is there, and still empty. */
  begun?: () => Promise<void>;
}

/**
 * Brings a dump here, from the first place at which it is sound, and loads it into a new database. Returns it, with what people should know.
 *
 * Several connections load several tables at once, and need the whole file for it. Where one table has most of the rows they have nothing to share
 * out, and its rows are loaded while they are fetched: in the time of the slower of the two, and not of both.
 */
export async function bring(bringing: Bringing, records: BackupRecord[]): Promise<{ archive: Archive; notes: string[] }> {
  const { context, folder, source } = bringing;
  let notes: string[] = [];
  let loaded: Archive | undefined;
  const begin = async (archive: Archive): Promise<Loading> => {
    await bringing.clear();
    notes = await createEmpty({ ...bringing, archive });
    await bringing.begun?.();
    return { ...bringing, archive };
  };
  const archive = await fetchArchive(context, records, folder, source.owner, async (archive) => {
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
