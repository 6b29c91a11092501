import { expect, test } from 'vitest';
import { pageOf } from '../../../activities/backups/listing-page.js';
import type { BackupRecord } from '../../../vocabulary/backup.js';

const rows = Object.fromEntries(
  Array.from({ length: 500 }, (_, at) => [`public.table_of_the_shop_${at}`, 1_000_000 + at]),
);
const record = (at: number): BackupRecord => ({
  ...{
    id: `20261121-${at}`,
    system: 'shop',
    kind: 'logical',
    component: 'main',
    database: 'shop',
    size: 1,
    compression: 'zstd',
  },
  ...{
    encryption: 'none',
    files: [],
    tools: {},
    seconds: 1,
    run: 'r',
    type: 'logical',
    timestamp: '2026-11-21T00:00:00Z',
  },
  ...{ location: 'onsite', rows },
});
const bytes = (of: unknown) => Buffer.byteLength(JSON.stringify(of));

test('a few backups are listed as they are, with their row counts', () => {
  const listing = { backups: [record(1), record(2)], unreadable: { offsite: 'it is away' } };
  expect(pageOf(listing)).toEqual(listing);
});

test('no page of thousands of backups of 500 tables is larger than Temporal takes, and together they name every one, once', () => {
  const listing = { backups: Array.from({ length: 9000 }, (_, at) => record(at)), unreadable: {} };
  const ids: string[] = [];
  let pages = 0;
  let after: string | undefined;
  do {
    const page = pageOf(listing, after);
    expect(bytes(page)).toBeLessThan(1_100_000);
    ids.push(...page.backups.map(({ id }) => id));
    after = page.next;
    pages += 1;
  } while (after !== undefined);
  expect(pages).toBeGreaterThan(1);
  expect(ids).toEqual(listing.backups.map(({ id }) => id));
});
