import { expect, test } from 'vitest';
import { listen } from '../../activities/backups/logical/restore-errors.js';

test('messages of pg_restore that come mixed, since several connections write at once, are all told', () => {
  const { line, said } = listen();
  line('pg_restore: pg_restore: from TOC entry 3421; 0 16390 TABLE DATA public places postgres');
  line('from TOC entry 3423; 0 16400 MATERIALIZED VIEW DATA public greetings postgres');
  line('pg_restore: error: COPY failed for table "places": ERROR:  relation "zones" does not exist');
  line('error: could not execute query: ERROR:  relation "customers" does not exist');
  expect(said().failed).toEqual([
    { id: '3421', what: 'TABLE DATA public places postgres', why: expect.stringContaining('zones') as string },
    { id: '3423', what: 'MATERIALIZED VIEW DATA public greetings postgres', why: 'ERROR:  relation "customers" does not exist' },
  ]);
});
