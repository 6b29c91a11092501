import { chmod, mkdir, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import { cancelled } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { freeBytes, ownFor, removeTree } from '../../files.js';
import { withLocation } from '../../locations/open.js';
import type { Owner } from '../../run.js';
import { recordName } from '../record.js';
import { meter } from './dump.js';
import { listLogical } from './dump-names.js';
import { both } from './program.js';
import { isDump, readWhole } from './read-back.js';
import { keepNote } from './notes.js';

/** A dump as a file on this host: pg_restore -j reads its parts from several places at once. */
export interface Archive {
  path: string;
  format: 'custom' | 'plain';
  /** Roles and tablespaces, as pg_dumpall wrote them. */
  globals?: string;
  record?: BackupRecord;
  /** What people call it. */
  what: string;
  /** Places that were tried in vain before, with why. */
  passedOver: string[];
}

/** Where dumps are laid down to be restored. A folder of ours in it; nobody else's is touched. */
export const layDown = ({ plan, host, state }: HostContext): string => plan.hosts[host]?.scratch ?? state;

/** Folders with dumps in them, decrypted: the agent that comes after a crash removes them before anything else. */
export const laidDownPrefix = 'lifeboat-dump-';

/** An empty folder that whoever restores can read, and nobody else. What a killed attempt left in it is gone. */
export async function freshFolder(path: string, owner: Owner | undefined): Promise<string> {
  await checkpoint('before clearing a folder');
  await removeTree(path);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  await ownFor(path, owner);
  return path;
}

/** A file in it, as a stream that is open already. */
export const fileIn = async (path: string): Promise<Writable> =>
  (await open(path, 'w', 0o600)).createWriteStream({ highWaterMark: 1024 * 1024 });

/** The records of a dump in the order in which they are tried. Throws NoBackup when there is none. */
export async function placesOf(
  context: HostContext,
  component: string,
  id: string,
  location: string | undefined,
): Promise<BackupRecord[]> {
  const { backups, unreadable } = await listLogical(context, component);
  const found = backups.filter((record) => record.id === id && (!location || record.location === location));
  if (found.length > 0) return [...found.filter(({ damaged }) => !damaged), ...found.filter(({ damaged }) => damaged)];
  const away = Object.entries(unreadable).map(([name, why]) => `${name}: ${why}`);
  throw failure(
    'NoBackup',
    `there is no dump ${id} of ${component}${location ? ` at ${location}` : ''}${away.length > 0 ? `; NOT read: ${away.join('; ')}` : ''}`,
    'See what there is: lifeboat backup list',
  );
}

/** What takes a dump while it is laid down. */
export interface Beside {
  into: Writable;
  /** Fulfilled when it has taken all; rejected when it could not. */
  done: () => Promise<void>;
  end: () => void;
  /** Removes what it has made of the part that it took: the next place needs the room. */
  discard: () => Promise<void>;
}

/**
 * Brings a dump here: the first place at which it is sound. Its digest was compared before this returns. Throws
 * NotEnoughSpace before it begins, BackupDamaged when it is sound nowhere. `beside`: asked for each place anew, when
 * the roles are here and before the dump is.
 */
export async function fetchArchive(
  context: HostContext,
  records: BackupRecord[],
  folder: string,
  owner: Owner | undefined,
  beside?: (archive: Archive) => Promise<Beside | undefined>,
): Promise<Archive> {
  const passedOver: string[] = [];
  let last: unknown;
  for (const record of records) {
    try {
      return await fetchFrom(context, record, folder, owner, passedOver, beside);
    } catch (error) {
      cancelled()?.throwIfAborted();
      const { type = '', message } = error as { type?: string; message: string };
      // BadRequest: it was encrypted with another passphrase than the plan has now; another location may have its own.
      if (!['BackupDamaged', 'BadRequest', 'LocationUnreachable', 'LocationRefused', 'SecretMissing'].includes(type))
        throw error;
      if (type === 'BackupDamaged' && record.type !== 'unknown') await noteDamage(context, record, message);
      passedOver.push(`${record.location}: ${message}`);
      last = error;
    }
  }
  throw last;
}

async function noteDamage(context: HostContext, record: BackupRecord, why: string): Promise<void> {
  await withLocation(context, record.location, (location) =>
    keepNote(location, { ...record, damaged: { at: new Date().toISOString(), why } }),
  ).catch(() => undefined);
}

async function fetchFrom(
  context: HostContext,
  record: BackupRecord,
  folder: string,
  owner: Owner | undefined,
  passedOver: string[],
  beside?: (archive: Archive) => Promise<Beside | undefined>,
): Promise<Archive> {
  const dump = record.files.find(isDump);
  if (record.type === 'unknown' || !dump)
    throw failure(
      'BackupDamaged',
      record.damaged?.why ?? `${recordName(record)} names no dump`,
      'Take another one: lifeboat backup list',
      {
        file: recordName(record),
      },
    );
  demandSealed(context, record);
  await demandSpace(folder, (record.made?.dumpBytes ?? record.dataBytes ?? record.size) + 1024 * 1024);
  const path = join(folder, 'database.dump');
  return withLocation(context, record.location, async (location) => {
    await checkpoint('before fetching');
    const globals = record.files.find((file) => !isDump(file));
    const text: Buffer[] = [];
    const gather = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        text.push(chunk);
        done();
      },
    });
    if (globals) await readWhole(context, location, globals, gather);
    const what = `${record.id} at ${record.location}`;
    const archive: Archive = {
      path,
      format: 'custom',
      globals: Buffer.concat(text).toString('utf8'),
      record,
      what,
      passedOver,
    };
    const loader = await beside?.(archive);
    const how = loader ? 'restoring what is fetched:' : 'fetching';
    const tell = meter(`${how} ${record.id} from ${record.location}`, dump.bytes);
    let into: Writable | undefined;
    try {
      const file = await fileIn(path);
      into = loader ? both(file, loader.into) : file;
      // It may break before anything is sent into it.
      into.on('error', () => undefined);
      await readWhole(context, location, dump, into, tell);
      await loader?.done();
    } catch (error) {
      loader?.end();
      await rm(path, { force: true });
      await loader?.discard().catch(() => undefined);
      throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? full(folder) : error;
    } finally {
      into?.destroy();
    }
    await ownFor(path, owner);
    await checkpoint('after fetching');
    return archive;
  });
}

/**
 * Only who has the passphrase can have made what it opens; a dump without could be anybody's who can write there, and
 * its SQL would be run. Throws BadRequest for one where the plan encrypts.
 */
function demandSealed({ plan }: HostContext, { id, location, files }: BackupRecord): void {
  const bare = plan.locations[location]?.encryption && files.find(({ name }) => !name.endsWith('.age'));
  if (!bare) return;
  throw failure(
    'BadRequest',
    `${bare.name} at ${location} is not encrypted, and the plan encrypts what lies there: whoever can write there may have put it`,
    `Was ${id} taken before the plan said so? Then bring its dump here by hand, and restore that: lifeboat backup restore --file FILE`,
    { file: bare.name },
  );
}

/** A disk that ran full is no damage of the dump. */
export const full = (folder: string) =>
  failure(
    'NotEnoughSpace',
    `${folder} ran full while the dump was laid down there`,
    'Make room, or name a scratch directory of the host in the plan.',
  );

/** Throws NotEnoughSpace when so many bytes do not fit there. */
export async function demandSpace(folder: string, bytes: number): Promise<void> {
  const free = await freeBytes(folder);
  if (free >= bytes) return;
  const mb = (value: number) => `${Math.ceil(value / 1e6)} MB`;
  throw failure(
    'NotEnoughSpace',
    `${folder} has ${mb(free)} free, and ${mb(bytes)} are needed`,
    'Make room there, or name a scratch directory of the host in the plan (hosts.NAME.scratch).',
    { free, needed: bytes },
  );
}

export const sameFileSystem = async (a: string, b: string): Promise<boolean> =>
  (await stat(a)).dev === (await stat(b)).dev;
