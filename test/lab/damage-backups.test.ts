import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { backupParts, damageBackup, deletePart, removeWalSegment, walSegments } from '../../lab/damage-backups.js';

let location: string;
const label = 'backup/shop/20261121-031502F';
const segment = (n: number): string =>
  `archive/shop/15-1/0000000100000000/00000001000000000000000${n}-${'a'.repeat(40)}.gz`;

beforeEach(() => {
  location = mkdtempSync(join(tmpdir(), 'damage-'));
  const names = [
    `${label}/pg_data/base/5/1259.gz`,
    `${label}/pg_data/base/5/1260.gz`,
    `${label}/backup.manifest`,
    'backup/shop/backup.info',
    segment(1),
    segment(2),
    segment(3),
  ];
  for (const name of names) {
    mkdirSync(dirname(join(location, name)), { recursive: true });
    writeFileSync(join(location, name), Buffer.alloc(100, 7));
  }
  symlinkSync('20261121-031502F', join(location, 'backup/shop/latest'));
});
afterEach(() => rmSync(location, { recursive: true }));

test('the same seed damages the same file in the same place', () => {
  const [file] = damageBackup(location, 'flip', backupParts.data, 3);
  expect(file).toContain('/pg_data/base/');
  expect(readFileSync(file!).filter((byte) => byte !== 7)).toHaveLength(1);
  // Flipped twice is as before.
  expect(damageBackup(location, 'flip', backupParts.data, 3)).toEqual([file]);
  expect(readFileSync(file!).every((byte) => byte === 7)).toBe(true);
});

test('a file is cut, or deleted', () => {
  expect(readFileSync(damageBackup(location, 'truncate', backupParts.manifest)[0]!)).toHaveLength(50);
  expect(existsSync(deletePart(location, backupParts.info))).toBe(false);
});

test('a gap in the WAL', () => {
  const all = walSegments(location);
  expect(all).toHaveLength(3);
  expect(removeWalSegment(location, -2)).toBe(all[1]);
  expect(walSegments(location)).toEqual([all[0], all[2]]);
  expect(() => removeWalSegment(location, 5)).toThrow('no segment 5');
});

test('says so when there is nothing to damage', () => {
  expect(() => damageBackup(location, 'flip', backupParts.bundle)).toThrow('has 0 files');
});
