import type { Duplex, Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { HostContext } from '../../context.js';
import { secretOf } from '../../context.js';
import { failure } from '../../errors.js';
import { decrypt, encrypt } from '../../encryption/age.js';
import type { Location, PutOptions } from '../../locations/location.js';

/**
 * How a file of a dump lies at a location: its name says it, so that a person can open it by hand: `age -d F.age | zstd
 * -d`.
 */

export const dumpFile = 'database.dump';
export const globalsFile = 'globals.sql';

export const encodedName = (
  file: string,
  { compressed, encrypted }: { compressed: boolean; encrypted: boolean },
): string => `${file}${compressed ? '.zst' : ''}${encrypted ? '.age' : ''}`;

/**
 * Room enough that whoever writes goes on while a block is being compressed. Node's streams take it; its types of zstd
 * do not know.
 */
const room = { highWaterMark: 1024 * 1024 };

/**
 * zstd at level 3, with a checksum of its own. In one frame and by one thread: Node's decoder ends at the end of the
 * first frame, and its encoder fails with workers.
 */
export const compressor = (): Transform =>
  createZstdCompress({
    ...room,
    chunkSize: 64 * 1024,
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
  });

/**
 * What a location's encryption puts between us and it; undefined where the plan asks for none. Throws SecretMissing.
 */
export async function encrypterFor(context: HostContext, location: string): Promise<Transform | undefined> {
  const reference = context.plan.locations[location]?.encryption;
  return reference ? encrypt(await secretOf(context, reference)) : undefined;
}

/**
 * Puts at a location what comes out of these coders; without any, the source as it is. Throws what they or the location
 * throw.
 */
export async function putCoded(
  open: Location,
  name: string,
  source: Readable,
  coders: Transform[],
  options: PutOptions = {},
): Promise<void> {
  const last = coders.at(-1);
  if (!last) return void (await open.put(name, source, options));
  const coded = pipeline([source, ...coders]);
  // What fails in it ends the stream that is put, and is told by that.
  coded.catch(() => undefined);
  await open.put(name, last, options);
  await coded;
}

/** What undoes it all, in its order. Throws BadRequest where the plan no longer names the passphrase. */
export async function decodersFor(context: HostContext, location: string, name: string): Promise<Duplex[]> {
  const decoders: Duplex[] = [];
  if (name.endsWith('.age')) decoders.push(decrypt(await passphraseOf(context, location)));
  if (name.replace(/\.age$/, '').endsWith('.zst')) decoders.push(createZstdDecompress({ chunkSize: 256 * 1024 }));
  return decoders;
}

async function passphraseOf(context: HostContext, location: string): Promise<string> {
  const reference = context.plan.locations[location]?.encryption;
  if (reference) return secretOf(context, reference);
  throw failure(
    'BadRequest',
    `the backup at ${location} is encrypted, and the plan names no passphrase for ${location}`,
    `Give locations.${location}.encryption of the plan the reference that it had when the backup was taken.`,
  );
}
