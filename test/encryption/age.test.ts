import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Decrypter, Encrypter } from 'age-encryption';
import { describe, expect, test } from 'vitest';
import { decrypt, encrypt } from '../../activities/encryption/age.js';

/** The format is age's own: what we write its own package reads, and the other way round. */

const through = async (data: Buffer, by: NodeJS.ReadWriteStream): Promise<Buffer> =>
  buffer(
    Readable.from(pieces(data))
      .on('error', () => undefined)
      .compose(by as never),
  );

function* pieces(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += 50_001) yield data.subarray(at, at + 50_001);
}

const sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_003];

describe('a stream encrypted with a passphrase', () => {
  test.each(sizes)("of %i bytes is read by age's own package, and by us", async (size) => {
    const data = randomBytes(size);
    const sealed = await through(data, await encrypt('a passphrase'));
    const theirs = new Decrypter();
    theirs.addPassphrase('a passphrase');
    expect(Buffer.from(await theirs.decrypt(sealed)).equals(data)).toBe(true);
    expect((await through(sealed, decrypt('a passphrase'))).equals(data)).toBe(true);
  });

  test.each(sizes)("of %i bytes by age's own package is read by us", async (size) => {
    const data = randomBytes(size);
    const theirs = new Encrypter();
    theirs.setPassphrase('a passphrase');
    theirs.setScryptWorkFactor(10);
    const sealed = Buffer.from(await theirs.encrypt(data));
    expect((await through(sealed, decrypt('a passphrase'))).equals(data)).toBe(true);
  });

  test('that was changed, cut off or emptied anywhere is damaged, and another passphrase says so', async () => {
    const data = randomBytes(200_000);
    const sealed = await through(data, await encrypt('a passphrase'));
    await expect(through(sealed, decrypt('another'))).rejects.toMatchObject({ type: 'BadRequest' });
    for (const at of [30, 160, 70_000, sealed.length - 1]) {
      const flipped = Buffer.from(sealed);
      flipped[at]! ^= 1;
      await expect(through(flipped, decrypt('a passphrase')), `byte ${at}`).rejects.toThrow();
    }
    for (const length of [0, 10, 100, 166, 65_536 + 166, sealed.length - 1]) {
      await expect(
        through(sealed.subarray(0, length), decrypt('a passphrase')),
        `cut at ${length}`,
      ).rejects.toMatchObject({
        type: 'BackupDamaged',
      });
    }
  });
});
