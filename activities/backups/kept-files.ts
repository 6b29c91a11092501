import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { cancelled } from '../capability.js';
import { type HostContext, secretOf } from '../context.js';
import { decrypt, encrypt } from '../encryption/age.js';
import { failure } from '../errors.js';
import type { Location } from '../locations/location.js';

/**
 * Whole files at a location, sealed with its passphrase when it has one; each is known by its size and digest there.
 */

export interface KeptFile {
  name: string;
  bytes: number;
  sha256: string;
}

const passphraseOf = async (context: HostContext, location: Location): Promise<string | undefined> => {
  const reference = context.plan.locations[location.name]?.encryption;
  return reference && secretOf(context, reference);
};

/** Sends a file, and reads it back: size and digest. `.age` is put to its name when it is sealed. */
export async function keepFile(
  context: HostContext,
  location: Location,
  name: string,
  path: string,
): Promise<KeptFile> {
  const passphrase = await passphraseOf(context, location);
  const signal = cancelled();
  const body = new PassThrough();
  const reading = pipeline([createReadStream(path), ...(passphrase ? [await encrypt(passphrase)] : []), body]);
  const whole = passphrase ? `${name}.age` : name;
  const [sent] = await Promise.all([location.put(whole, body, signal ? { signal } : {}), reading]);
  const kept = { name: whole, ...sent };
  const why = await flawOf(location, kept);
  if (why)
    throw failure(
      'BackupDamaged',
      `${whole} at ${location.name} is not what was sent: ${why}`,
      'Retry; if it stays so, look at the location.',
    );
  return kept;
}

/**
 * Reads a file whole and compares size and digest. Returns what is wrong with it; undefined when it is as it was sent.
 */
export async function flawOf(location: Location, file: KeptFile): Promise<string | undefined> {
  const found = await location.find(file.name);
  if (!found) return 'it is not there';
  const hash = createHash('sha256');
  await pipeline(await location.get(file.name), hash);
  if (found.bytes !== file.bytes) return `it has ${found.bytes} bytes, and had ${file.bytes}`;
  return hash.digest('hex') === file.sha256 ? undefined : 'its content is not what was written: the digest differs';
}

/** Fetches a file and opens it. Throws BackupDamaged when it is not what was sent; then nothing is left at `path`. */
export async function fetchFile(context: HostContext, location: Location, file: KeptFile, path: string): Promise<void> {
  const hash = createHash('sha256');
  const counted = new Transform({
    transform(part: Buffer, _encoding, done) {
      hash.update(part);
      done(null, part);
    },
  });
  try {
    const steps = file.name.endsWith('.age') ? [decrypt((await passphraseOf(context, location)) ?? '')] : [];
    await pipeline([await location.get(file.name), counted, ...steps, createWriteStream(path, { mode: 0o600 })]);
    if (hash.digest('hex') !== file.sha256)
      throw failure('BackupDamaged', `${file.name} at ${location.name} is damaged`, 'Take another backup.');
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
