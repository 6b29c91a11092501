import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Duplex, pipeline as join2, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress, ZstdDecompress } from 'node:zlib';
import { cancelled } from '../../capability.js';
import { type HostContext, secretOf } from '../../context.js';
import { ageMagic, decrypt } from '../../encryption/age.js';
import { failure } from '../../errors.js';
import { ownFor } from '../../files.js';
import type { Owner } from '../../run.js';
import { meter } from './dump.js';
import { type Archive, demandSpace, fileIn, full } from './fetch.js';

/** A dump that somebody wrote with pg_dump, in whatever wrapping: its first bytes say what it is, and not its name. */

const magic: { name: string; bytes: Buffer }[] = [
  { name: 'age', bytes: Buffer.from(ageMagic) },
  { name: 'gzip', bytes: Buffer.from([0x1f, 0x8b]) },
  { name: 'zstd', bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { name: 'custom', bytes: Buffer.from('PGDMP') },
];

/**
 * Lays it down, unwrapped. Throws BadRequest when it is none that can be restored, BackupDamaged when it cannot be
 * unwrapped.
 */
export async function openLocalFile(
  context: HostContext,
  file: string,
  folder: string,
  owner: Owner | undefined,
): Promise<Archive> {
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) {
    throw failure(
      'BadRequest',
      found ? `${file} on ${context.host} is no file` : `there is no file ${file} on ${context.host}`,
      'Name a dump that pg_dump wrote, in one file: custom format or plain SQL, also as .gz, .zst or .age.',
    );
  }
  await demandSpace(folder, found.size + 1024 * 1024);
  const path = join(folder, 'database.dump');
  let format = '';
  for (const passphrase of await passphrasesFor(context, file)) {
    const decoders: Decoder[] = [];
    try {
      const unwrapped = await unwrap(createReadStream(file, { highWaterMark: 256 * 1024 }), decoders, passphrase);
      format = unwrapped.format;
      const tell = meter(`reading ${basename(file)}`, found.size);
      const signal = cancelled();
      const counted = async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          tell(chunk.length);
          yield chunk;
        }
      };
      await pipeline(unwrapped.stream, counted, await fileIn(path), signal ? { signal } : {});
      demandWhole(file, decoders);
      break;
    } catch (error) {
      cancelled()?.throwIfAborted();
      if (
        /another passphrase/.test((error as Error).message) &&
        passphrase !== (await passphrasesFor(context, file)).at(-1)
      )
        continue;
      if ((error as { type?: string }).type === 'BadRequest') throw error;
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw full(folder);
      throw failure(
        'BackupDamaged',
        `${file} cannot be read: ${(error as Error).message}`,
        'It was changed or cut off; take another one.',
        { file },
      );
    }
  }
  if (format === 'plain') await demandWholeScript(file, path);
  await ownFor(path, owner);
  return { path, format: format === 'custom' ? 'custom' : 'plain', what: file, passedOver: [] };
}

interface Decoder {
  decoder: Duplex;
  /** What it was given. */
  bytes: number;
}

/**
 * Node's zstd decoder stops after the first frame without a word, and files of several (pzstd, cat) would come short.
 */
function demandWhole(file: string, decoders: Decoder[]): void {
  for (const { decoder, bytes } of decoders) {
    const { bytesWritten } = decoder as Duplex & { bytesWritten?: number };
    if (decoder instanceof ZstdDecompress && bytesWritten !== bytes)
      throw failure(
        'BadRequest',
        `${file} was compressed by zstd in several pieces, of which only the first can be read here`,
        'Decompress it first: zstd -d FILE; then restore what comes out.',
      );
  }
}

/** Those of the plan's locations, for a file that is encrypted: one of them is its own. */
async function passphrasesFor(context: HostContext, file: string): Promise<string[]> {
  const start = await firstBytes(file);
  if (!start.subarray(0, ageMagic.length).equals(magic[0]!.bytes)) return [''];
  const references = [...new Set(Object.values(context.plan.locations).flatMap(({ encryption }) => encryption ?? []))];
  if (references.length === 0)
    throw failure(
      'BadRequest',
      `${file} is encrypted, and the plan names no passphrase`,
      'Name it as the encryption of a location, or decrypt the file first.',
    );
  return Promise.all(references.map((reference) => secretOf(context, reference)));
}

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(64), 0, 64, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function unwrap(
  stream: Readable,
  decoders: Decoder[],
  passphrase: string,
): Promise<{ stream: Readable; format: string }> {
  const head = await peek(stream);
  const kind = magic.find(({ bytes }) => head.subarray(0, bytes.length).equals(bytes))?.name ?? plainOr(head);
  if (kind === 'custom' || kind === 'plain') return { stream, format: kind };
  if (decoders.length > 3) throw failure('BadRequest', 'it is wrapped too often', 'Unwrap it by hand first.');
  const decoder = kind === 'age' ? decrypt(passphrase) : kind === 'gzip' ? createGunzip() : createZstdDecompress();
  const fed = { decoder, bytes: 0 };
  decoders.push(fed);
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      fed.bytes += chunk.length;
      done(null, chunk);
    },
  });
  return unwrap(
    join2(stream, count, decoder, () => undefined),
    decoders,
    passphrase,
  );
}

function plainOr(head: Buffer): string {
  if (head.length > 0 && !head.some(isControl)) return 'plain';
  throw failure(
    'BadRequest',
    head.length === 0 ? 'the file is empty' : 'the file is no dump in custom format and no SQL',
    'A tar or directory dump is restored by hand, with pg_restore; what other programs encrypted is decrypted first. Of one file, Lifeboat reads pg_dump -Fc and plain SQL.',
  );
}

/** What no script begins with, and what somebody else's encryption soon does. */
const isControl = (byte: number): boolean => byte < 9 || (byte > 13 && byte < 32) || byte === 127;

/** Its first bytes, which stay in it. */
function peek(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const head = (stream.read(64) ?? stream.read()) as Buffer | null;
      if (head === null && !stream.readableEnded && !stream.closed) return void stream.once('readable', look);
      stream.off('error', reject).off('end', none);
      if (head) stream.unshift(head);
      resolve(head ?? Buffer.alloc(0));
    };
    const none = () => {
      stream.off('error', reject);
      resolve(Buffer.alloc(0));
    };
    stream.once('error', reject).once('end', none).once('readable', look);
  });
}

/**
 * What a line of psql may begin with: the end of COPY's data and its escapes, and what newer pg_dumps guard their own
 * scripts with.
 */
const harmless = /^\\([bfnrtvxN.\\0-7]|unrestrict\s)/;
/** In the middle of a line a backslash is mostly of a text or a function; these are not. */
const forbidden =
  /^\\(!|c(onnect)?(\s|$)|i(r|nclude|nclude_relative)?\s|o(ut)?\s|copy\s|cd\s|setenv\s|w(rite)?\s|g\w*(\s|$)|lo_\w+\s)/;

/**
 * Throws BadRequest for a script that would leave the database it is restored into (\connect, as pg_dump -C and
 * pg_dumpall write it), or run something on this host: what it does then would be done to production. Throws
 * BackupDamaged for one of pg_dump that lacks its last line: psql takes the end of a file for the end of a table's
 * rows, and says nothing.
 */
async function demandWholeScript(file: string, path: string): Promise<void> {
  let rest = '\n';
  let whole: boolean | undefined;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, encoding: 'latin1' })) {
    const text = rest + (chunk as string);
    whole ??= !text.startsWith('\n--\n-- PostgreSQL database dump\n');
    whole ||= text.includes('\n-- PostgreSQL database dump complete');
    demandHarmless(file, text, text.length - 40);
    rest = text.slice(-160);
  }
  demandHarmless(file, rest, rest.length);
  if (whole === false) {
    throw failure(
      'BackupDamaged',
      `${file} is cut off: what pg_dump writes last, "PostgreSQL database dump complete", is not in it`,
      'Take another one. Nothing was restored.',
      { file },
    );
  }
}

/** Looks at what begins before `end`: a word behind it may be cut off, and comes again with the rest. */
function demandHarmless(file: string, text: string, end: number): void {
  for (const match of text.matchAll(/([\n;])[ \t]*(?=\\)/g)) {
    const at = match.index + match[0].length;
    if (at > end) return;
    const line = text.slice(at, at + 40).split('\n')[0]!;
    if (match[1] === '\n' ? harmless.test(line) : !forbidden.test(line)) continue;
    throw failure(
      'BadRequest',
      `${file} holds "${line.split(/\s/)[0]}": it would reach beyond the database that it is restored into`,
      'Write a dump of the one database: pg_dump -Fc, without -C, and not pg_dumpall.',
    );
  }
}
