import { describe, expect, test } from 'vitest';
import { kept } from '../../vocabulary/retention.js';

const at = (...times: string[]) => times.map((time) => ({ id: time, at: new Date(time) }));
const keeps = (times: string[], rules: Parameters<typeof kept>[1], now: string, timezone = 'UTC') =>
  [...kept(at(...times), rules, new Date(now), timezone)].sort();

describe('which backups are kept', () => {
  test('without a rule none is', () => {
    expect(keeps(['2026-01-01T00:00:00Z'], {}, '2026-01-02T00:00:00Z')).toEqual([]);
  });

  test('last: the newest ones, in whatever order they are listed', () => {
    const times = ['2026-01-02T00:00:00Z', '2026-01-04T00:00:00Z', '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z'];
    expect(keeps(times, { last: 2 }, '2026-02-01T00:00:00Z')).toEqual(['2026-01-03T00:00:00Z', '2026-01-04T00:00:00Z']);
  });

  test('for: all that are younger; exactly as old is gone', () => {
    const times = ['2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', '2026-01-07T00:00:00Z'];
    expect(keeps(times, { for: 7 * 86_400 }, '2026-01-08T00:00:00Z')).toEqual([
      '2026-01-01T00:00:01Z',
      '2026-01-07T00:00:00Z',
    ]);
  });

  test('daily: the newest of each day, and a day without a backup counts', () => {
    const times = ['2026-01-01T10:00:00Z', '2026-01-03T02:00:00Z', '2026-01-03T14:00:00Z', '2026-01-05T02:00:00Z'];
    expect(keeps(times, { daily: 3 }, '2026-01-05T12:00:00Z')).toEqual([
      '2026-01-03T14:00:00Z',
      '2026-01-05T02:00:00Z',
    ]);
  });

  test('a day begins at midnight of the timezone', () => {
    // 20:00 UTC is already 01:30 of the next day in India.
    const times = ['2026-01-01T10:00:00Z', '2026-01-01T20:00:00Z'];
    expect(keeps(times, { daily: 9 }, '2026-01-02T00:00:00Z', 'UTC')).toEqual(['2026-01-01T20:00:00Z']);
    expect(keeps(times, { daily: 9 }, '2026-01-02T00:00:00Z', 'Asia/Kolkata')).toEqual(times);
  });

  test.each([
    // 25 October 2026 has 25 hours in Berlin, 29 March 23.
    ['2026-10-24T22:30:00Z', '2026-10-25T22:30:00Z', '2026-10-25T23:30:00Z'],
    ['2026-03-28T23:30:00Z', '2026-03-29T21:30:00Z', '2026-03-29T22:30:00Z'],
  ])('a day on which the clock changes is one day: %s and %s, and %s is the next', (first, last, next) => {
    expect(keeps([first, last, next], { daily: 2 }, next, 'Europe/Berlin')).toEqual([last, next]);
  });

  test('the days reach back by the calendar across a change of the clock', () => {
    const days = Array.from({ length: 40 }, (_, n) => new Date(Date.UTC(2026, 9, 1 + n, 1)).toISOString());
    expect(keeps(days, { daily: 30 }, days.at(-1)!, 'Europe/Berlin')).toEqual(days.slice(-30));
  });

  test('monthly: the newest of each month, across a year, the months of the timezone', () => {
    const times = ['2025-11-30T02:00:00Z', '2025-12-01T02:00:00Z', '2025-12-31T23:30:00Z', '2026-02-03T02:00:00Z'];
    expect(keeps(times, { monthly: 3 }, '2026-02-10T00:00:00Z')).toEqual([
      '2025-12-31T23:30:00Z',
      '2026-02-03T02:00:00Z',
    ]);
    // In Berlin the last of them is already of January.
    expect(keeps(times, { monthly: 3 }, '2026-02-10T00:00:00Z', 'Europe/Berlin')).toEqual([
      '2025-12-01T02:00:00Z',
      '2025-12-31T23:30:00Z',
      '2026-02-03T02:00:00Z',
    ]);
  });

  test('whatever any rule keeps is kept', () => {
    const days = Array.from({ length: 500 }, (_, n) => new Date(Date.UTC(2025, 0, 1 + n, 2)).toISOString());
    const now = days.at(-1)!;
    const keep = keeps(days, { daily: 30, monthly: 12 }, now);
    expect(keep.filter((day) => day >= days.at(-30)!)).toEqual(days.slice(-30));
    expect(new Set(keep.map((day) => day.slice(0, 7))).size).toBe(12);
    expect(keep).toHaveLength(30 + 12 - new Set(days.slice(-30).map((day) => day.slice(0, 7))).size + 0);
  });

  test('what is dated into the future is kept', () => {
    expect(keeps(['2026-03-01T00:00:00Z'], { daily: 1 }, '2026-01-01T00:00:00Z')).toEqual(['2026-03-01T00:00:00Z']);
  });
});
