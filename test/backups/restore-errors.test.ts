import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { listen } from '../../activities/backups/logical/restore-errors.js';

/**
 * What a worker of pg_restore writes of an object that fails, in the pieces in which it writes them: another one's may
 * come between any two.
 */
const told = (entry: string, error: string, command: string): string[] => [
  ...['pg_restore:', ' ', `from TOC entry ${entry}\n`],
  ...['pg_restore:', ' ', 'error: ', `${error}\n`],
  ...(command === '' ? [] : [`Command was: ${command}\n`]),
];

const places = told(
  '3421; 0 16390 TABLE DATA public places postgres',
  'COPY failed for table "places": ERROR:  relation "zones" does not exist',
  '',
);
const greetings = told(
  '3423; 0 16400 MATERIALIZED VIEW DATA public greetings postgres',
  'could not execute query: ERROR:  relation "customers" does not exist',
  'REFRESH MATERIALIZED VIEW public.greetings;',
);

/** Every order in which the pieces of two can come. */
function* orders(one: string[], other: string[]): Generator<string[]> {
  if (one.length === 0 || other.length === 0) {
    yield [...one, ...other];
    return;
  }
  for (const rest of orders(one.slice(1), other)) yield [one[0]!, ...rest];
  for (const rest of orders(one, other.slice(1))) yield [other[0]!, ...rest];
}

function hear(pieces: string[]) {
  const { line, said } = listen();
  for (const text of pieces.join('').split('\n')) line(text);
  return said();
}

test('messages of pg_restore that come mixed, since several connections write at once, are all told', () => {
  let tried = 0;
  for (const pieces of orders(places, greetings)) {
    tried += 1;
    const { failed, others } = hear(pieces);
    const heard = { others, ids: failed.map(({ id }) => id).sort(), whys: failed.map(({ why }) => why).sort() };
    const whys = [
      'COPY failed for table "places": ERROR:  relation "zones" does not exist',
      'ERROR:  relation "customers" does not exist',
    ];
    if (!isDeepStrictEqual(heard, { others: 0, ids: ['3421', '3423'], whys }))
      expect(heard, pieces.join('')).toBe('all that was told');
  }
  expect(tried).toBe(6435);
});

test('one that was ended in the middle of a message leaves the objects that were named', () => {
  for (let end = 3; end < places.length; end += 1)
    for (const pieces of orders(places.slice(0, end), greetings.slice(0, 7)))
      expect(
        hear(pieces)
          .failed.map(({ id }) => id)
          .sort(),
        pieces.join(''),
      ).toEqual(['3421', '3423']);
});
