import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { Decrypter, Encrypter } from 'age-encryption';
import { failure } from '../errors.js';
import { type KeyHolder, passphraseIdentity, passphraseRecipient } from './age-passphrase.js';

/**
 * Streams encrypted as `age` reads and writes them, by a passphrase: `age -d` opens what is written here. The package
 * writes and checks the header; the data itself goes through Node's own ChaCha20-Poly1305, which is eight times as fast
 * as the package's and leaves this process time for others.
 * Source: age-encryption.org/v1, "Payload".
 */

const chunkBytes = 64 * 1024;
const tagBytes = 16;
const nonceBytes = 16;
/** A header of one passphrase has 150 bytes; whatever goes on for longer is none. */
const longestHeader = 4096;
export const ageMagic = 'age-encryption.org/v1\n';

/** Encrypts what goes through it with a random key of its own, which the passphrase opens. */
export async function encrypt(passphrase: string): Promise<Transform> {
  const holder: KeyHolder = {};
  const encrypter = new Encrypter();
  encrypter.addRecipient(passphraseRecipient(passphrase, holder));
  // The header, the nonce, and one empty chunk, which is left out.
  const empty = Buffer.from(await encrypter.encrypt(new Uint8Array()));
  const opening = empty.subarray(0, empty.length - tagBytes);
  const key = payloadKey(holder.fileKey!, opening.subarray(-nonceBytes));
  return new Chunks(
    chunkBytes,
    (chunk, nonce) => {
      const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagBytes });
      const sealed = cipher.update(chunk);
      cipher.final();
      return [sealed, cipher.getAuthTag()];
    },
    opening,
  );
}

/**
 * Decrypts what goes through it. Ends with BadRequest for a wrong passphrase, BackupDamaged for what was changed or cut
 * off.
 */
export function decrypt(passphrase: string): Transform {
  let opening: Buffer | undefined = Buffer.alloc(0);
  const chunks = new Chunks(chunkBytes + tagBytes, undefined);
  const open = async (data: Buffer): Promise<Buffer | undefined> => {
    opening = Buffer.concat([opening!, data]);
    const mac = opening.indexOf('\n--- ');
    const end = mac < 0 ? -1 : opening.indexOf('\n', mac + 1) + 1;
    if (end <= 0 || opening.length < end + nonceBytes) {
      if (opening.length > longestHeader) throw damaged('it has no header of age');
      return undefined;
    }
    const decrypter = new Decrypter();
    decrypter.addIdentity(passphraseIdentity(passphrase));
    const fileKey = await decrypter.decryptHeader(opening.subarray(0, end)).catch((error: unknown) => {
      throw (error as { type?: string }).type ? error : damaged((error as Error).message);
    });
    const key = payloadKey(fileKey, opening.subarray(end, end + nonceBytes));
    chunks.seal = (chunk, nonce) => {
      if (chunk.length < tagBytes) throw damaged('it is cut off');
      const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: tagBytes });
      decipher.setAuthTag(chunk.subarray(chunk.length - tagBytes));
      try {
        const open = decipher.update(chunk.subarray(0, chunk.length - tagBytes));
        // Throws when it is not authentic; a stream cipher has nothing more to give.
        decipher.final();
        return [open];
      } catch {
        throw damaged('it was changed or cut off');
      }
    };
    const rest = opening.subarray(end + nonceBytes);
    opening = undefined;
    return rest;
  };
  chunks.before = (data, proceed, fail) => {
    if (opening === undefined) return proceed(data);
    open(data).then((rest) => proceed(rest ?? Buffer.alloc(0)), fail);
  };
  return chunks;
}

const damaged = (why: string) =>
  failure(
    'BackupDamaged',
    `it cannot be decrypted: ${why}`,
    'Another location or another backup may be whole: lifeboat backup list',
  );

const payloadKey = (fileKey: Uint8Array, nonce: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32));

/** Gives what takes the place of a chunk, in pieces. */
type Seal = (chunk: Buffer, nonce: Buffer) => Buffer[];

/**
 * Cuts a stream into chunks of one size, the last of which is marked in its nonce: so nobody can cut any off unseen.
 */
class Chunks extends Transform {
  before?: (data: Buffer, proceed: (data: Buffer) => void, fail: (error: Error) => void) => void;
  private counter = 0n;
  /** The end of what came, a chunk at most: only what follows tells that it is not the last. */
  private rest = Buffer.alloc(0);

  constructor(
    private readonly size: number,
    public seal: Seal | undefined,
    opening?: Buffer,
  ) {
    super({ readableHighWaterMark: 256 * 1024, writableHighWaterMark: 256 * 1024 });
    if (opening) this.push(opening);
  }

  override _transform(data: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const proceed = (ready: Buffer) => {
      try {
        this.cut(ready);
        done();
      } catch (error) {
        done(error as Error);
      }
    };
    if (this.before) this.before(data, proceed, done);
    else proceed(data);
  }

  override _flush(done: TransformCallback): void {
    try {
      if (!this.seal) throw damaged('it is cut off within its header');
      this.emitChunk(this.rest, true);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  private cut(data: Buffer): void {
    let at = 0;
    if (this.rest.length > 0) {
      at = Math.min(this.size - this.rest.length, data.length);
      this.rest = Buffer.concat([this.rest, data.subarray(0, at)]);
      if (at === data.length) return;
      this.emitChunk(this.rest, false);
    }
    for (; data.length - at > this.size; at += this.size) this.emitChunk(data.subarray(at, at + this.size), false);
    // Copied: the buffer that it came in may be large, and is let go.
    this.rest = Buffer.from(data.subarray(at));
  }

  private emitChunk(chunk: Buffer, last: boolean): void {
    for (const piece of this.seal!(chunk, this.nonce(last))) this.push(piece);
  }

  private nonce(last: boolean): Buffer {
    const nonce = Buffer.alloc(12);
    nonce.writeBigUInt64BE(this.counter, 3);
    nonce[11] = last ? 1 : 0;
    this.counter += 1n;
    return nonce;
  }
}
