import { describe, expect, it } from 'vitest';
import { describeTarget, parseTarget, TargetError } from '../../vocabulary/target.js';

const iso = (text: string): string => {
  const target = parseTarget(text);
  if (target.kind !== 'time') throw new Error(`${text} is no time`);
  return target.iso;
};

describe('a time', () => {
  it.each([
    ['2026-11-21T03:15:00Z', '2026-11-21T03:15:00.000000Z'],
    ['2026-11-21 03:15:00Z', '2026-11-21T03:15:00.000000Z'],
    ['2026-11-21 03:15Z', '2026-11-21T03:15:00.000000Z'],
    ['2026-11-21T03:15:00+05:30', '2026-11-20T21:45:00.000000Z'],
    ['2026-11-21T03:15:00+0530', '2026-11-20T21:45:00.000000Z'],
    ['2026-11-21 03:15:00 +02', '2026-11-21T01:15:00.000000Z'],
    ['2026-11-21 03:15:00-08', '2026-11-21T11:15:00.000000Z'],
    ['2026-12-31T23:59:59-00:01', '2027-01-01T00:00:59.000000Z'],
    [' 2026-11-21T03:15:00Z ', '2026-11-21T03:15:00.000000Z'],
  ])('%s', (text, expected) => expect(iso(text)).toBe(expected));
  it.each([
    ['2026-11-21T03:15:00.123456Z', '2026-11-21T03:15:00.123456Z'],
    ['2026-11-21T03:15:00.000001+05:30', '2026-11-20T21:45:00.000001Z'],
    ['2026-11-21T03:15:00.5Z', '2026-11-21T03:15:00.500000Z'],
    ['2026-11-21T03:15:00.999999Z', '2026-11-21T03:15:00.999999Z'],
  ])('keeps microseconds: %s', (text, expected) => expect(iso(text)).toBe(expected));
  it.each(['2026-11-21T03:15:00', '2026-11-21 03:15'])(
    'is refused without an offset, with what to write: %s',
    (text) => {
      expect(() => parseTarget(text)).toThrow(TargetError);
      expect(() => parseTarget(text)).toThrow(/no offset/);
    },
  );
  it.each([
    '2026-13-01T00:00:00Z',
    '2026-11-21T25:00:00Z',
    '2026-11-21T03:61:00Z',
    '2026-02-30T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-02-29T00:00:00+05:30',
    '2026-02-30T23:00:00-08:00',
    '2026-11-21T03:15:00+99:00',
  ])('is refused when no calendar has it: %s', (text) => expect(() => parseTarget(text)).toThrow(/calendar/));
});

it.each([
  ['latest', { kind: 'latest' }],
  ['0/3000148', { kind: 'lsn', lsn: '0/3000148' }],
  ['a/ff', { kind: 'lsn', lsn: 'A/FF' }],
  ['20261121-031500F', { kind: 'backup', label: '20261121-031500F' }],
  ['20261121-031500F_20261122-031500I', { kind: 'backup', label: '20261121-031500F_20261122-031500I' }],
])('%s', (text, target) => expect(parseTarget(text)).toEqual(target));

it.each([
  '',
  'yesterday',
  '03:15',
  '2026-11-21',
  '21/11/2026 03:15',
  '1732158900',
  '2026-11-21T03:15:00.1234567Z',
  '2026-11-21T03:15:00 IST',
  '0/123456789',
  '20261121-031500X',
  'latest; rm -rf /',
  "2026-11-21T03:15:00Z' --x",
])('is refused: %j', (text) => {
  expect(() => parseTarget(text)).toThrow(TargetError);
  try {
    parseTarget(text);
  } catch (error) {
    expect((error as TargetError).hint).toMatch(/./);
  }
});

it('says a target as people read it', () => {
  expect(
    ['latest', '2026-11-21T03:15:00Z', '2026-11-21T03:15:00.120000Z', '0/3000148', '20261121-031500F'].map((text) =>
      describeTarget(parseTarget(text)),
    ),
  ).toEqual([
    'latest',
    '2026-11-21 03:15:00 UTC',
    '2026-11-21 03:15:00.12 UTC',
    'LSN 0/3000148',
    'backup 20261121-031500F',
  ]);
});

it('the latest of a timeline, where a person knows which one served last', () => {
  expect(parseTarget('timeline:2')).toEqual({ kind: 'latest', timeline: 2 });
  expect(describeTarget(parseTarget('timeline:2'))).toBe('the latest of timeline 2');
  for (const text of ['timeline:0', 'timeline:', 'timeline:x']) expect(() => parseTarget(text)).toThrow(TargetError);
});
