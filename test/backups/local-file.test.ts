import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { openLocalFile } from '../../activities/backups/logical/local-file.js';
import { hostWith, makeGround } from '../helpers/backups.js';

const ground = makeGround();
afterAll(() => ground.destroy());

test('a disk that runs full while a packed dump is laid down is no damage of the dump', async ({ skip }) => {
  const folder = ground.path('full');
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return skip('mounting is not permitted here');
  }
  try {
    writeFileSync(ground.path('dump.sql.gz'), gzipSync('select 1;\n'.repeat(1_000_000)));
    await expect(
      openLocalFile(hostWith(ground, {}), ground.path('dump.sql.gz'), folder, undefined),
    ).rejects.toMatchObject({
      type: 'NotEnoughSpace',
    });
  } finally {
    execFileSync('umount', ['-l', folder]);
  }
});
