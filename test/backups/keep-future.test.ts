import { expect, test } from 'vitest';
import { expirableBackups } from '../../activities/backups/clean-up.js';
import type { BackupRecord } from '../../vocabulary/backup.js';

const now = new Date('2026-11-21T12:00:00Z');
const taken = (id: string, timestamp: string): BackupRecord => ({
  id,
  timestamp,
  system: 'shop',
  kind: 'logical',
  component: 'main',
  type: 'logical',
  database: 'shop',
  location: 'onsite',
  size: 1,
  compression: 'none',
  encryption: 'none',
  files: [],
  tools: {},
  seconds: 1,
  run: id,
  verified: { at: timestamp },
});

test('a backup that a clock dated into the future is kept, and is no reason to remove one that is newer in truth', () => {
  const backups = [
    taken('ahead', '2027-06-01T00:00:00Z'),
    taken('new', '2026-11-21T11:59:00Z'),
    taken('old', '2026-11-20T00:00:00Z'),
  ];
  expect(expirableBackups(backups, { last: 1 }, 'UTC', now).map(({ id }) => id)).toEqual(['old']);
  expect(expirableBackups(backups.slice(0, 2), { for: 1 }, 'UTC', now)).toEqual([]);
  expect(expirableBackups([backups[0]!], {}, 'UTC', now)).toEqual([]);
});
