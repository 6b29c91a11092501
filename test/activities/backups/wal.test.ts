import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { follow, isWritten, lsnValue, timelineOf } from '../../../activities/backups/wal.js';

/** Segments of 16 MB, 256 of them to a file number: `seg(2, 5)` is the fifth of timeline 2. */
const seg = (timeline: number, n: number): string =>
  [timeline, Math.floor(n / 256), n % 256].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join('');
const archive = (...segments: string[]) => ({
  segments: segments.sort(),
  histories: [],
  segmentBytes: 16 * 1024 * 1024,
});
const range = (timeline: number, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => seg(timeline, from + at));

describe('follow', () => {
  test('a whole archive is followed to its end', () => {
    expect(follow(archive(...range(1, 3, 9)), seg(1, 3), [], 1)).toEqual({ last: seg(1, 9) });
  });

  test('segments before the backup are of no matter', () => {
    expect(follow(archive(seg(1, 1), ...range(1, 4, 6)), seg(1, 4), [], 1)).toEqual({ last: seg(1, 6) });
  });

  test('a hole is named, and what comes before it', () => {
    expect(follow(archive(...range(1, 3, 5), ...range(1, 7, 9)), seg(1, 3), [], 1)).toEqual({
      last: seg(1, 5),
      gap: seg(1, 6),
    });
  });

  test('when the first segment itself is missing, nothing can be reached', () => {
    expect(follow(archive(...range(1, 4, 6)), seg(1, 3), [], 1)).toEqual({ last: '', gap: seg(1, 3) });
  });

  test('an empty archive has no gap, and no end', () => {
    expect(follow(archive(), seg(1, 3), [], 1)).toEqual({ last: '' });
  });

  test('it goes over from one file number to the next', () => {
    expect(follow(archive(...range(1, 254, 258)), seg(1, 254), [], 1)).toEqual({ last: seg(1, 258) });
    expect(seg(1, 256)).toBe('000000010000000100000000');
  });

  describe('timeline 2 left timeline 1 in segment 5', () => {
    const branches = [{ timeline: 1, until: '0/5000148' }];

    test('its way leads over the parent', () => {
      expect(follow(archive(...range(1, 3, 5), ...range(2, 5, 8)), seg(1, 3), branches, 2)).toEqual({
        last: seg(2, 8),
      });
    });

    test('either timeline has the segment in which it left', () => {
      expect(follow(archive(...range(1, 3, 4), ...range(2, 5, 8)), seg(1, 3), branches, 2)).toEqual({
        last: seg(2, 8),
      });
    });

    test('what the parent wrote after it was left does not fill a hole of the child', () => {
      const found = follow(archive(...range(1, 3, 9), seg(2, 5), ...range(2, 7, 9)), seg(1, 3), branches, 2);
      expect(found).toEqual({ last: seg(2, 5), gap: seg(2, 6) });
    });

    test('a hole in the parent is a hole', () => {
      const found = follow(archive(seg(1, 3), seg(1, 5), ...range(2, 5, 8)), seg(1, 3), branches, 2);
      expect(found.last).toBe(seg(1, 3));
      expect(found.gap, 'the missing segment is the fourth').toMatch(/00000004$/);
    });

    test('a third timeline that branched off elsewhere is not taken', () => {
      const found = follow(archive(...range(1, 3, 5), ...range(2, 5, 6), ...range(3, 7, 9)), seg(1, 3), branches, 2);
      expect(found).toEqual({ last: seg(2, 6) });
    });
  });
});

test('an LSN is compared as one number, and not as text', () => {
  expect(lsnValue('1/0') > lsnValue('0/FFFFFFFF')).toBe(true);
  expect(lsnValue('0/3000148')).toBe(0x3000148n);
  expect(timelineOf('0000000A0000000000000001')).toBe(10);
});

describe('isWritten', () => {
  const megabyte = 1024 * 1024;
  const written = async (name: string, address: bigint): Promise<boolean> => {
    const folder = mkdtempSync(join(tmpdir(), 'lifeboat-wal-test-'));
    try {
      const page = Buffer.alloc(16 * megabyte);
      if (endianness() === 'LE') page.writeBigUInt64LE(address, 8);
      else page.writeBigUInt64BE(address, 8);
      writeFileSync(join(folder, name), page);
      return await isWritten(join(folder, name));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test('its first page is of the place in the stream that its name says', async () => {
    expect(await written(seg(1, 256 + 3), (1n << 32n) + BigInt(3 * 16 * megabyte))).toBe(true);
  });

  test('a segment kept for later holds older WAL, or nothing', async () => {
    expect(await written(seg(1, 9), BigInt(3 * 16 * megabyte))).toBe(false);
    expect(await written(seg(1, 9), 0n)).toBe(false);
  });
});
