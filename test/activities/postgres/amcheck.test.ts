import { expect, test } from 'vitest';
import { findings } from '../../../activities/postgres/amcheck.js';

/** What pg_amcheck 15.18 printed of databases that lab/damage.ts had damaged: captured, not made up. */
const healthy = ['0/331 relations (0%),     0/10364 pages (0%)', '331/331 relations (100%), 10364/10364 pages (100%)'];
const indexInDisorder = [
  'btree index "shop.public.orders_customer":',
  '    ERROR:  could not find tuple using search from root page in index "orders_customer"',
  '    DETAIL:  Index tid=(1,3) points to heap tid=(0,88) page lsn=0/1C078E0.',
];
const heapOverwritten = [
  'NOTICE:  extension "amcheck" already exists, skipping',
  'heap table "shop.public.orders":',
  '    ERROR:  invalid page in block 0 of relation base/16386/16410',
  'btree index "shop.public.orders_pkey":',
  '    ERROR:  invalid page in block 0 of relation base/16386/16410',
  'WARNING:  page verification failed, calculated checksum 65391 but expected 65133',
];
const oddNames = [
  'btree index "odd name.public.Weird.Name_pkey":',
  '    ERROR:  invalid page in block 1 of relation base/16483/16484',
  'heap table "odd name.public.Weird.Name":',
  '    ERROR:  invalid page in block 1 of relation base/16483/16484',
];
const tuples = [
  'heap table "shop.public.orders", block 3, offset 2, attribute 1:',
  '    attribute with length 4294967295 ends at offset 416848000 beyond total tuple length 58',
  'heap table "shop.public.orders", block 3, offset 7:',
  '    xmin 4026531839 precedes oldest valid transaction ID 0:722',
];

test('nothing in the output of a sound database', () => {
  expect(findings(healthy)).toEqual([]);
});

test('an index in disorder is index damage: it can be rebuilt', () => {
  expect(findings(indexInDisorder)).toEqual([
    {
      database: 'shop',
      relation: 'public.orders_customer',
      kind: 'index',
      says: 'ERROR:  could not find tuple using search from root page in index "orders_customer"',
    },
  ]);
});

test('a heap that cannot be read is table damage, also when its indexes complain too', () => {
  expect(findings(heapOverwritten).map(({ kind, relation }) => `${kind} ${relation}`)).toEqual([
    'table public.orders',
    'index public.orders_pkey',
  ]);
});

test('names with spaces, capitals and dots', () => {
  expect(findings(oddNames)).toMatchObject([
    { database: 'odd name', relation: 'public.Weird.Name_pkey', kind: 'index' },
    { database: 'odd name', relation: 'public.Weird.Name', kind: 'table' },
  ]);
});

test('several tuples of one table are one entry, with the first thing said', () => {
  expect(findings(tuples)).toEqual([
    {
      database: 'shop',
      relation: 'public.orders',
      kind: 'table',
      says: 'attribute with length 4294967295 ends at offset 416848000 beyond total tuple length 58',
    },
  ]);
});

test('an error of pg_amcheck itself is kept, and is neither table nor index', () => {
  expect(findings(['pg_amcheck: error: could not connect to server'])).toMatchObject([
    { kind: 'other', says: 'could not connect to server' },
  ]);
});
