import { describe, expect, it } from 'vitest';
import { absolutePath, cron, duration, name, percent, secret, size, timezone } from '../../plan/values.js';
import { formatBytes, formatDuration } from '../../vocabulary/units.js';
import { describeCron, planDuration, sentenceList } from '../../plan/words.js';

const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown): boolean =>
  schema.safeParse(value).success;

describe('values', () => {
  it.each([
    ['30s', 30],
    ['15m', 900],
    ['1.5h', 5400],
    ['90d', 7_776_000],
    ['2w', 1_209_600],
  ])('duration %s', (text, seconds) => expect(duration.parse(text)).toBe(seconds));
  it.each(['15', '15 m', 'm', '-1h', '1h30m', '1y', 15, null])('no duration: %s', (value) =>
    expect(accepts(duration, value)).toBe(false),
  );
  it.each([
    ['20GB', 20e9],
    ['500MB', 5e8],
    ['1.5kB', 1500],
    ['7B', 7],
  ])('size %s', (text, bytes) => expect(size.parse(text)).toBe(bytes));
  it.each([
    ['1%', 0.01],
    ['0.5%', 0.005],
    ['100%', 1],
    ['0%', 0],
  ])('percent %s', (text, fraction) => expect(percent.parse(text)).toBeCloseTo(fraction));
  it.each(['101%', '1', '-1%', '%', 1])('no percent: %s', (value) => expect(accepts(percent, value)).toBe(false));
  it.each(['0 2 * * *', '*/15 * * * *', '0 0-23/2 * * *', '5,35 1,13 1 JAN,JUL *', '0 9 * * MON-FRI', '0 0 * * 7'])(
    'cron %s',
    (text) => expect(cron.parse(text)).toBe(text),
  );
  it.each([
    'daily',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '0 24 * * *',
    '0 0 0 * *',
    '0 0 * 13 *',
    '0 0 * * 8',
    '0 0 * * XYZ',
    '5-1 * * * *',
    '*/0 * * * *',
    '0  2 * * *',
    '@daily',
    '1,,2 * * * *',
  ])('no cron: %s', (text) => expect(accepts(cron, text)).toBe(false));
  it.each(['a', 'db-1_x', 'A'.repeat(63)])('name %s', (text) => expect(accepts(name, text)).toBe(true));
  it.each(['', '1a', 'a b', 'a/b', 'a.b', 'ä', 'A'.repeat(64), '-a'])('no name: %s', (text) =>
    expect(accepts(name, text)).toBe(false),
  );
  it.each(['env:NAME', 'env:_x1', 'file:secrets/x', 'file:/etc/x'])('secret %s', (text) =>
    expect(accepts(secret, text)).toBe(true),
  );
  it.each(['hunter2', 'env:', 'env:1X', 'env:A B', 'file:', ''])('no secret: %s', (text) =>
    expect(accepts(secret, text)).toBe(false),
  );
  it.each(['UTC', 'Asia/Kolkata', 'Europe/Kyiv'])('timezone %s', (text) => expect(accepts(timezone, text)).toBe(true));
  it.each(['IST!', 'Mars/Base', ''])('no timezone: %s', (text) => expect(accepts(timezone, text)).toBe(false));
  it.each([
    ['/srv/a', '/srv/a'],
    ['/srv//a//', '/srv/a'],
    ['/srv/.hidden/..x', '/srv/.hidden/..x'],
  ])('path %s', (text, path) => expect(absolutePath.parse(text)).toBe(path));
  it.each(['srv', '~/x', '/', '//', '/srv/../x', '/.', '/a/./b', '/a\nb', ''])('no path: %j', (text) =>
    expect(accepts(absolutePath, text)).toBe(false),
  );
});

describe('words', () => {
  it.each([
    [0, '0s'],
    [4.25, '4.3s'],
    [45, '45s'],
    [192, '3m 12s'],
    [7500, '2h 05m'],
    [273_600, '3d 4h'],
  ])('%d seconds', (seconds, text) => expect(formatDuration(seconds)).toBe(text));
  it.each([
    [640, '640 B'],
    [24_500_000, '24.5 MB'],
    [1_200_000_000, '1.2 GB'],
  ])('%d bytes', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
  it.each([
    [900, '15m'],
    [3600, '1h'],
    [5400, '1h 30m'],
    [172_800, '2d'],
    [2, '2s'],
    [0, '0s'],
    [0.5, '0.5s'],
  ])('plan duration of %d', (seconds, text) => expect(planDuration(seconds)).toBe(text));
  it.each([
    ['0 2 * * *', 'every day at 02:00'],
    ['30 8,14,20 * * *', 'every day at 08:30, 14:30 and 20:30'],
    ['0 */6 * * *', 'every 6 hours, beginning at 00:00'],
    ['*/15 * * * *', 'every 15 minutes'],
    ['5 * * * *', 'every hour at minute 5'],
    ['0 2 * * 0', 'every Sunday at 02:00'],
    ['0 2 * * 1-6', 'from Monday to Saturday at 02:00'],
    ['0 9 * * MON,thu', 'every Monday and Thursday at 09:00'],
    ['0 3 1 * *', 'on day 1 of each month at 03:00'],
    ['0 3 1 1,4,7,10 *', 'on day 1 of January, April, July and October at 03:00'],
    ['0 3 1 */3 *', 'on day 1 of January, April, July and October at 03:00'],
    ['0 3 1 FEB *', 'on day 1 of February at 03:00'],
    ['7-9 2 * * *', 'cron 7-9 2 * * *'],
    ['0 2 1 * 1', 'cron 0 2 1 * 1'],
  ])('cron %s', (text, words) => expect(describeCron(text)).toBe(words));
  it('a list as a sentence', () =>
    expect([sentenceList([]), sentenceList(['a']), sentenceList(['a', 'b', 'c'])]).toEqual([
      'none',
      'a',
      'a, b and c',
    ]));
});
