import { describe, expect, test } from 'vitest';
import { AlertBook } from '../../workflows/alert-book.js';
import type { Alert } from '../../vocabulary/alert.js';

/** What is open and what is to be said of it: without Temporal, and with a clock of its own. */
describe('the book of alerts', () => {
  const slack = { channels: [{ name: 'slack', onlyCritical: false }], hosts: ['db1', 'db2'] };
  const space: Alert = { key: 'space/onsite', severity: 'warning', title: 'near full', text: 'Make room.' };
  const start = () => {
    const book = new AlertBook('shop', { check: 300, remind: 86_400, again: 3600, patience: 86_400, history: 1500 });
    book.follow(slack, 0);
    return book;
  };
  const open = (book: AlertBook) => book.book.open.map(({ key }) => key);
  /** Sends whatever may be sent, and gives what it was. */
  const send = (book: AlertBook, at: number) => {
    book.tend(at);
    return book.sendable().map((out) => {
      book.delivered(out, { thread: 't' }, at);
      return `${out.notice.state}${out.notice.reminder ? ' again' : ''} ${out.notice.key}`;
    });
  };

  test('a host that does not answer three times in a row is an alert; what it said before stays open', () => {
    const book = start();
    book.answered('db1', [space], 0);
    for (const n of [1, 2]) book.silent('db1', 'no answer', n);
    expect(open(book)).toEqual(['space/onsite']);
    book.silent('db1', 'no answer', 3);
    expect(open(book)).toEqual(['space/onsite', 'host/db1']);
    book.answered('db1', [space], 4);
    expect(open(book)).toEqual(['space/onsite']);
    book.silent('db1', 'no answer', 5);
    expect(open(book), 'counted from nought again').toEqual(['space/onsite']);
  });

  test('two hosts that find the same say it once, and it is over when neither finds it', () => {
    const book = start();
    book.answered('db1', [space], 0);
    book.answered('db2', [space], 1);
    expect(send(book, 2)).toEqual(['raised space/onsite']);
    book.answered('db1', [], 3);
    expect(send(book, 3)).toEqual([]);
    book.answered('db2', [], 4);
    expect(send(book, 4)).toEqual(['resolved space/onsite']);
  });

  test('what a workflow raised is not over because no host finds it', () => {
    const book = start();
    book.raise({ ...space, key: 'backup/logical/main' }, '', 0);
    book.answered('db1', [], 1);
    expect(open(book)).toEqual(['backup/logical/main']);
  });

  test('a day later it is said again', () => {
    const book = start();
    book.raise(space, '', 0);
    expect(
      [send(book, 0), send(book, 1), send(book, 86_399_999), send(book, 86_400_000), send(book, 86_400_001)].flat(),
    ).toEqual(['raised space/onsite', 'raised again space/onsite']);
  });

  test('a channel that is new in the plan is told of what is open; one that is gone is told nothing', () => {
    const book = start();
    book.raise(space, '', 0);
    send(book, 0);
    book.follow({ ...slack, channels: [{ name: 'email', onlyCritical: false }] }, 1);
    expect(send(book, 1)).toEqual(['raised space/onsite']);
    book.resolve(space.key, '', 2);
    expect(book.sendable().map(({ channel }) => channel)).toEqual(['email']);
  });

  test('what hosts said that are no longer in the plan is over', () => {
    const book = start();
    book.answered('db2', [space], 0);
    book.follow({ ...slack, hosts: ['db1'] }, 1);
    expect(open(book)).toEqual([]);
  });

  test('undelivered notices are kept for a week, and fifty at most', () => {
    const book = start();
    for (let n = 0; n < 60; n += 1) book.raise({ ...space, key: `k${n}` }, '', 0);
    book.tend(0);
    for (const out of book.sendable()) book.failed(out, { message: 'refused' }, 0);
    expect(book.book.undelivered).toHaveLength(50);
    book.follow(slack, 8 * 86_400_000);
    expect(book.book.undelivered).toEqual([]);
  });
});
