import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { textOf } from '../../activities/backups/record.js';
import type { Location } from '../../activities/locations/location.js';
import { digest, failingAfter, hangingAfter, kinds, makePlaces, type Place, someBytes } from '../helpers/locations.js';

/** What every kind of location promises, whichever it is. */

const places = makePlaces();
afterAll(() => places.stop());

const MiB = 1024 * 1024;
const text = (of: string): Readable => Readable.from([of]);

describe.each(kinds)('a location: %s', (kind) => {
  let place: Place;
  let location: Location;
  beforeAll(async () => {
    place = await places.start(kind);
    location = await place.open();
  });
  afterAll(() => location.close());

  const names = async (prefix: string): Promise<string[]> => (await location.list(prefix)).map(({ name }) => name);

  test('gives back what was put, lists it with its size and age, and removes it', async () => {
    const before = Date.now();
    const put = await location.put('lifeboat/shop/one.txt', text('one'));
    expect(put).toEqual(await digest(text('one').map((one: string) => Buffer.from(one))));
    expect(await textOf(await location.get('lifeboat/shop/one.txt'))).toBe('one');
    const found = await location.find('lifeboat/shop/one.txt');
    expect(found).toMatchObject({ name: 'lifeboat/shop/one.txt', bytes: 3 });
    // The clocks of services may count whole seconds.
    expect(Math.abs(found!.modifiedAt - before)).toBeLessThan(60_000);
    await location.put('lifeboat/shop/two.txt', text('two!'));
    await location.put('lifeboat/shopping.txt', text('other'));
    expect(await location.list('lifeboat/shop/')).toMatchObject([
      { name: 'lifeboat/shop/one.txt', bytes: 3 },
      { name: 'lifeboat/shop/two.txt', bytes: 4 },
    ]);
    expect(await names('lifeboat/shop')).toHaveLength(3);
    expect(await names('lifeboat/shop/o')).toEqual(['lifeboat/shop/one.txt']);
    await location.remove('lifeboat/shop/one.txt');
    await location.remove('lifeboat/shop/one.txt');
    expect(await location.find('lifeboat/shop/one.txt')).toBeUndefined();
    expect(await names('lifeboat/shop/')).toEqual(['lifeboat/shop/two.txt']);
  });

  test('what is not there is not found, not listed, and damage to whoever needs it', async () => {
    expect(await location.find('nothing/here')).toBeUndefined();
    expect(await location.list('nothing/')).toEqual([]);
    await expect(location.get('nothing/here')).rejects.toMatchObject({ type: 'BackupDamaged' });
  });

  test('refuses names that lead out of it', async () => {
    for (const name of ['../outside', 'a/../../outside', '/etc/passwd', 'a//b', '.', ''])
      await expect(location.put(name, text('x')), name).rejects.toMatchObject({ type: 'BadRequest' });
  });

  test('keeps names with spaces, quotes, signs, leading dashes and letters of any alphabet', async () => {
    const odd = [
      'it\'s a "name"',
      '-rf',
      'größe ☕ 日本',
      'a+b=c&d?e#f%20g',
      'semi;colon$(x)`y`',
      `long-${'x'.repeat(190)}`,
    ];
    for (const name of odd) {
      await location.put(`odd/${name}`, text(name));
      expect(await textOf(await location.get(`odd/${name}`)), name).toBe(name);
    }
    expect(await names('odd/')).toEqual(odd.map((name) => `odd/${name}`).sort());
    for (const name of odd) await location.remove(`odd/${name}`);
    expect(await names('odd/')).toEqual([]);
  });

  test('replaces what has the name', async () => {
    await location.put('replaced', text('a longer first one'));
    await location.put('replaced', text('second'));
    expect(await textOf(await location.get('replaced'))).toBe('second');
    expect(await location.find('replaced')).toMatchObject({ bytes: 6 });
  });

  test('keeps an empty file', async () => {
    expect(await location.put('empty', Readable.from([]))).toMatchObject({ bytes: 0 });
    expect(await location.find('empty')).toMatchObject({ bytes: 0 });
    expect(await textOf(await location.get('empty'))).toBe('');
  });

  test('keeps 40 MB whole, whatever size was expected', async () => {
    const expected = await digest(someBytes(40 * MiB + 17));
    expect(await location.put('large', someBytes(40 * MiB + 17), { bytes: 1000 })).toEqual(expected);
    expect(await location.find('large')).toMatchObject({ bytes: expected.bytes });
    expect(await digest(await location.get('large'))).toEqual(expected);
    expect(await location.removeUnfinished('')).toBe(0);
  });

  test('a reader that goes away early ends the reading', async () => {
    const stream = await location.get('large');
    for await (const chunk of stream) {
      expect(chunk).toBeDefined();
      break;
    }
    expect(stream.destroyed).toBe(true);
  });

  test('lists more than one page, in order', async () => {
    const all = Array.from({ length: 1001 }, (_, n) => `many/${String(n).padStart(5, '0')}`);
    for (let from = 0; from < all.length; from += 50)
      await Promise.all(all.slice(from, from + 50).map((name) => location.put(name, text('x'))));
    expect(await names('many/')).toEqual(all);
  });

  test('takes files at the same time', async () => {
    const sizes = [1, 3 * MiB, 11 * MiB, 6 * MiB, 100];
    const put = await Promise.all(sizes.map((bytes, n) => location.put(`together/${n}`, someBytes(bytes))));
    for (const [n, bytes] of sizes.entries()) {
      expect(put[n]).toEqual(await digest(someBytes(bytes)));
      expect(await digest(await location.get(`together/${n}`))).toEqual(put[n]);
    }
  });

  test.each([MiB, 21 * MiB])(
    'an upload whose source fails after %d bytes leaves nothing and says what the source said',
    async (bytes) => {
      const error = new Error('pg_dump was killed');
      await expect(location.put('failed/one', failingAfter(bytes, error))).rejects.toBe(error);
      expect(await location.find('failed/one')).toBeUndefined();
      expect(await names('failed/')).toEqual([]);
      expect(await location.removeUnfinished('failed/'), 'leftovers').toBe(0);
    },
  );

  test('a failed upload leaves the file that it would have replaced', async () => {
    await location.put('kept', text('the good one'));
    await expect(location.put('kept', failingAfter(9 * MiB, new Error('gone')))).rejects.toThrow('gone');
    expect(await textOf(await location.get('kept'))).toBe('the good one');
  });

  test('an upload that is told to end leaves nothing', async () => {
    const abort = new AbortController();
    const { body, given } = hangingAfter(21 * MiB);
    const put = location.put('aborted/one', body, { signal: abort.signal });
    put.catch(() => undefined);
    await given;
    abort.abort(new Error('cancelled'));
    await expect(put).rejects.toThrow('cancelled');
    expect(body.destroyed).toBe(true);
    expect(await names('aborted/')).toEqual([]);
    expect(await location.removeUnfinished('aborted/'), 'leftovers').toBe(0);
    await expect(location.put('aborted/one', text('x'), { signal: abort.signal })).rejects.toThrow('cancelled');
    expect(await names('aborted/')).toEqual([]);
  });

  test('an upload whose source is closed before its end has failed', async () => {
    const body = new Readable({ read: () => undefined });
    body.push(Buffer.alloc(MiB));
    const put = location.put('closed', body);
    put.catch(() => undefined);
    setImmediate(() => body.destroy());
    await expect(put).rejects.toThrow();
    expect(await location.find('closed')).toBeUndefined();
  });
});
