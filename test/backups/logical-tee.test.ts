import { createWriteStream } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { both } from '../../activities/backups/logical/program.js';
import { branch, tee } from '../../activities/backups/logical/tee.js';

/** One dump for several locations: what each of them gets when another one fails, stalls, or the dump itself does. */

const megabyte = Buffer.alloc(1024 * 1024, 7);

function* megabytes(count: number, error?: Error): Generator<Buffer> {
  for (let at = 0; at < count; at += 1) yield megabyte;
  if (error) throw error;
}
const source = (count: number, error?: Error): AsyncGenerator<Buffer> =>
  (async function* () {
    for (const chunk of megabytes(count, error)) yield await Promise.resolve(chunk);
  })();

test('one that stalls and one that fails are dropped with their reasons, and the other has it all', async () => {
  const [whole, stalled, failed] = [branch('whole'), branch('stalled'), branch('failed')];
  const read = buffer(whole.stream);
  failed.stream.once('data', () => failed.stream.destroy(new Error('full')));
  await tee(source(12), [whole, stalled, failed], 200);
  expect((await read).length).toBe(12 * megabyte.length);
  expect(stalled.stream.errored?.message).toMatch(/stalled took nothing for/);
  expect(failed.stream.errored?.message).toBe('full');
});

test('when the source fails, none of them ends: each has its error', async () => {
  const branches = [branch('one'), branch('other')];
  const reads = branches.map(({ stream }) => buffer(stream));
  await expect(tee(source(3, new Error('pg_dump ended with code 1')), branches)).rejects.toThrow('pg_dump ended');
  for (const read of reads) await expect(read).rejects.toThrow('pg_dump ended');
});

test('when none is left, the source is let go', async () => {
  let given = 0;
  const counted = (async function* () {
    for (const chunk of megabytes(1000)) {
      given += 1;
      yield await Promise.resolve(chunk);
    }
  })();
  await tee(counted, [branch('stalled')], 100);
  expect(given).toBeLessThan(20);
});

test('a disk that is full when the last of a dump is laid down is an error, and so is a file that cannot be written at all', async () => {
  const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() });
  const full = () => createWriteStream('/dev/full', { flags: 'r+', highWaterMark: 1024 * 1024 });
  await expect(pipeline(Readable.from([Buffer.alloc(1000)]), both(full(), sink()))).rejects.toMatchObject({
    code: 'ENOSPC',
  });
  await expect(pipeline(Readable.from([Buffer.alloc(4_000_000)]), both(full(), sink()))).rejects.toMatchObject({
    code: 'ENOSPC',
  });
});
