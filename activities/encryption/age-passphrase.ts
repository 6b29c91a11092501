import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import type { Identity, Recipient, Stanza } from 'age-encryption';
import { Stanza as StanzaClass } from 'age-encryption';
import { failure } from '../errors.js';

/**
 * age's passphrase recipient, with Node's own scrypt: the package's own blocks this process and takes its memory for a
 * second each time.
 * Source: age-encryption.org/v1, "The scrypt recipient type".
 */

/**
 * 2^15: 32 MB for a tenth of a second, for each file: an agent has little memory, and a passphrase in a plan is a long
 * random one.
 */
const workFactor = 15;
/** The package's own limit: what somebody else wrote may not take all memory. */
const highestWorkFactor = 20;

export interface KeyHolder {
  fileKey?: Uint8Array;
}

/** Wraps the random key of a file, and keeps it for who encrypts the rest. */
export function passphraseRecipient(passphrase: string, holder: KeyHolder): Recipient {
  return {
    async wrapFileKey(fileKey) {
      holder.fileKey = fileKey;
      const salt = randomBytes(16);
      const cipher = createCipheriv('chacha20-poly1305', await derive(passphrase, salt, workFactor), Buffer.alloc(12), {
        authTagLength: 16,
      });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      return [new StanzaClass(['scrypt', unpadded(salt), String(workFactor)], body)];
    },
  };
}

/** Unwraps it. Throws BadRequest when the passphrase is not the one. */
export function passphraseIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas: Stanza[]) {
      const [type, salt = '', factor = ''] = stanzas.length === 1 ? stanzas[0]!.args : [];
      if (type !== 'scrypt' || !/^[1-9]\d?$/.test(factor) || Number(factor) > highestWorkFactor)
        throw failure(
          'BadRequest',
          'it is not encrypted with a passphrase',
          'Decrypt it with age and its key first, then restore the file.',
        );
      const key = await derive(passphrase, Buffer.from(salt, 'base64'), Number(factor));
      const { body } = stanzas[0]!;
      const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
      decipher.setAuthTag(body.subarray(16));
      try {
        return Buffer.concat([decipher.update(body.subarray(0, 16)), decipher.final()]);
      } catch {
        throw failure(
          'BadRequest',
          'it was encrypted with another passphrase',
          'Give the passphrase that was in use when the backup was taken, as the encryption of a location.',
        );
      }
    },
  };
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

function derive(passphrase: string, salt: Buffer, factor: number): Promise<Buffer> {
  const N = 2 ** factor;
  const label = Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), salt]);
  return new Promise((resolve, reject) =>
    scrypt(passphrase, label, 32, { N, r: 8, p: 1, maxmem: 129 * 8 * N + 1024 * 1024 }, (error, key) =>
      error ? reject(error) : resolve(key),
    ),
  );
}
