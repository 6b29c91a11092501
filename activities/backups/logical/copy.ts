import { PassThrough, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import { cancelled } from '../../capability.js';
import { checkpoint } from '../../checkpoint.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import type { Location } from '../../locations/location.js';
import { writeRecord } from '../record.js';
import { compressor, encodedName, encrypterFor } from './coding.js';
import { meter } from './dump.js';
import { fileName } from './dump-names.js';
import { type KeptFile, readBack, readWhole } from './read-back.js';

/**
 * Copies a backup that a killed attempt took to a location which lacks it: read whole where it is, encrypted anew for
 * where it goes, read back there, its record last. The first of `from` that is sound is copied. Throws what the last
 * one threw.
 */
export async function copyTo(
  context: HostContext,
  locations: Location[],
  from: BackupRecord[],
  to: Location,
  pgRestore: () => Promise<string>,
): Promise<BackupRecord> {
  let last: Error | undefined;
  for (const record of from) {
    const source = locations.find(({ name }) => name === record.location);
    if (!source) continue;
    try {
      return await copy(context, source, record, to, await pgRestore());
    } catch (error) {
      cancelled()?.throwIfAborted();
      last = error as Error;
    }
  }
  throw (
    last ??
    failure('NoBackup', `there is nothing to copy to ${to.name}`, 'Take a new one: lifeboat backup create --logical')
  );
}

async function copy(
  context: HostContext,
  source: Location,
  record: BackupRecord,
  to: Location,
  pgRestore: string,
): Promise<BackupRecord> {
  const files: KeptFile[] = [];
  const tell = meter(`copying from ${source.name} to ${to.name}`, record.size);
  for (const file of record.files) files.push(await copyFile(context, source, record, file, to, tell));
  for (const file of files) await readBack(context, to, file, pgRestore);
  const copied: BackupRecord = {
    ...record,
    location: to.name,
    size: files.reduce((sum, { bytes }) => sum + bytes, 0),
    encryption: files[0]!.name.endsWith('.age') ? 'age' : 'none',
    files,
    // Read whole it is; whether it can be restored was found out of the first.
    ...(record.verified ? { verified: { at: new Date().toISOString() } } : {}),
  };
  delete copied.restored;
  await checkpoint('before the record of a copy');
  await writeRecord(to, copied);
  await checkpoint('after the record of a copy');
  return copied;
}

async function copyFile(
  context: HostContext,
  source: Location,
  record: BackupRecord,
  file: KeptFile,
  to: Location,
  tell: (bytes: number) => void,
): Promise<KeptFile> {
  const signal = cancelled();
  const plain = file.name
    .split('/')
    .at(-1)!
    .replace(/(\.zst)?(\.age)?$/, '');
  const compressed = record.compression === 'zstd';
  const encrypter = await encrypterFor(context, to.name);
  const name = fileName(record, encodedName(plain, { compressed, encrypted: encrypter !== undefined }));
  // Its digest is compared before the upload can end: `held` is ended only when that was done.
  const held = new PassThrough({ highWaterMark: 1024 * 1024 });
  const entry = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (held.destroyed) {
        done(held.errored ?? new Error('the copy was broken off'));
        return;
      }
      if (held.write(chunk)) {
        done();
        return;
      }
      const go = () => {
        held.off('drain', go).off('close', go);
        done();
      };
      held.once('drain', go).once('close', go);
    },
  });
  const through = [...(compressed ? [compressor()] : []), ...(encrypter ? [encrypter] : [])];
  const out = through.at(-1) ?? held;
  const chain = through.length > 0 ? pipeline([held, ...through]) : Promise.resolve();
  chain.catch(() => undefined);
  const put = to.put(name, out, { signal, bytes: file.bytes });
  put.catch((error: unknown) => held.destroy(error as Error));
  held.on('error', (error) => entry.destroy(error));
  try {
    await readWhole(context, source, file, entry, tell);
    held.end();
  } catch (error) {
    held.destroy(error as Error);
    await put.catch(() => undefined);
    throw error;
  }
  return { name, ...(await put) };
}
