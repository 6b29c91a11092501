import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cancelled } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { failure, isFailure } from '../../errors.js';
import type { Location } from '../../locations/location.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';
import { flawOf } from '../kept-files.js';
import { decodersFor, dumpFile } from './coding.js';
import { feed, stream } from './program.js';

export type KeptFile = BackupRecord['files'][number];

/**
 * Reads a file of a backup whole where it is kept, once: its size and digest are compared, and what it decrypts and
 * decompresses to goes into `into`. Throws BackupDamaged, which names the file, when it is not what was sent; nothing
 * of what went into `into` is to be believed then. LocationUnreachable and LocationRefused are no damage.
 */
export async function readWhole(
  context: HostContext,
  location: Location,
  file: KeptFile,
  into: Writable,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      hash.update(chunk);
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
  const wrong = (why: string) =>
    failure(
      'BackupDamaged',
      `${file.name} at ${location.name} ${why}`,
      'Another location or an older backup may be sound: lifeboat backup list',
      {
        file: file.name,
      },
    );
  const signal = cancelled();
  try {
    const decoders = await decodersFor(context, location.name, file.name);
    await pipeline([await location.get(file.name, { signal }), meter, ...decoders, into], signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    const { type, code = '', message } = error as { type?: string; code?: string; message: string };
    if (type === 'BackupDamaged')
      throw wrong(message.startsWith(file.name) ? message.slice(file.name.length).trim() : `is damaged: ${message}`);
    if (/^(ERR_ZSTD|ZSTD_|Z_)/.test(code) || /zstd|decompress/i.test(message))
      throw wrong(`cannot be decompressed: ${message}`);
    if (isFailure(error, 'BadRequest')) {
      // A header that was damaged looks like one of another passphrase; the digest of the whole tells them apart.
      const why = await flawOf(location, file);
      if (why) throw wrong(`is damaged: ${why}`);
      const { hint = '' } = (error.details?.[0] ?? {}) as { hint?: string };
      throw failure('BadRequest', `${file.name} at ${location.name} cannot be read: ${message}`, hint, {
        file: file.name,
      });
    }
    throw error;
  }
  if (bytes !== file.bytes) throw wrong(`has ${bytes} bytes, and ${file.bytes} were sent`);
  if (hash.digest('hex') !== file.sha256) throw wrong('has another digest than what was sent');
}

/**
 * The same for a dump, which pg_restore must be able to read: its table of contents is there. Field note 13: dumps that
 * fail in silence. `keep`: a file for its beginning, up to the end of that table at least; of roles, for all of them.
 * Source: PostgreSQL manual, pg_restore -l.
 */
export async function readBack(
  context: HostContext,
  location: Location,
  file: KeptFile,
  pgRestore: string,
  onBytes?: (bytes: number) => void,
  keep?: string,
): Promise<void> {
  const kept = keep === undefined ? undefined : await open(keep, 'w', 0o600);
  try {
    await readAndKeep(context, location, file, pgRestore, onBytes, async (chunk) => void (await kept?.write(chunk)));
  } finally {
    await kept?.close();
  }
}

async function readAndKeep(
  context: HostContext,
  location: Location,
  file: KeptFile,
  pgRestore: string,
  onBytes: ((bytes: number) => void) | undefined,
  keep: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  if (!isDump(file)) return readWhole(context, location, file, taking(keep), onBytes);
  const contents = listContents(pgRestore);
  let listed = false;
  void contents.over.then(() => (listed = true));
  // What pg_restore has read when it has listed all was in what came until then.
  const into = taking(async (chunk) => {
    if (!listed) await keep(chunk);
    await new Promise<void>((resolve, reject) =>
      contents.into.write(chunk, (error) => (error ? reject(error) : resolve())),
    );
  }, contents.into);
  try {
    await readWhole(context, location, file, into, onBytes);
    await contents.demand(`${file.name} at ${location.name}`);
  } finally {
    contents.end();
  }
}

export const isDump = ({ name }: KeptFile): boolean => name.split('/').at(-1)!.startsWith(dumpFile);

/** `behind`: ended with it. */
const taking = (take: (chunk: Buffer) => Promise<void>, behind?: Writable): Writable =>
  new Writable({
    write: (chunk: Buffer, _encoding, done) => void take(chunk).then(() => done(), done),
    final(done) {
      if (behind) behind.end(() => done());
      else done();
    },
  });

/** pg_restore reads the table of contents, which comes first, and ends; the rest is read all the same. */
function listContents(pgRestore: string) {
  const program = stream(pgRestore, ['-l'], { owner: undefined, env: {} });
  let text = '';
  program.stdout.on('data', (data: Buffer) => {
    if (text.length < 4096) text += data.toString('utf8');
  });
  return {
    into: feed(program),
    end: program.end,
    /** It has read what it wants. */
    over: program.done.catch(() => undefined),
    async demand(what: string): Promise<void> {
      const why = await program.done.then(
        () => (/TOC Entries: [1-9]/.test(text) ? undefined : 'it lists no table of contents'),
        (error: unknown) => (error as Error).message,
      );
      if (why)
        throw failure(
          'BackupDamaged',
          `${what} is no dump that pg_restore reads: ${why}`,
          'Take another one: lifeboat backup create --logical',
          {
            file: what,
          },
        );
    },
  };
}
