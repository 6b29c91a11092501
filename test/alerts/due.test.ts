import { describe, expect, test } from 'vitest';
import { behindRpo, lastDue, lateBackups, unverified } from '../../activities/alerts/due.js';
import type { Component } from '../../activities/alerts/components.js';
import type { BackupRecord } from '../../vocabulary/backup.js';

/** When a backup is late: by the clock of the plan, with a grace, and by what is there. */
describe('late', () => {
  const due = (cron: string, zone: string, now: string) => lastDue(cron, zone, new Date(now))?.toISOString();

  test.each([
    [
      'daily, within its hour of grace: yesterday counts',
      '0 2 * * *',
      'UTC',
      '2026-11-21T02:59:00Z',
      '2026-11-20T02:00:00.000Z',
    ],
    ['daily, after it', '0 2 * * *', 'UTC', '2026-11-21T03:00:01Z', '2026-11-21T02:00:00.000Z'],
    ['every ten minutes: five of grace', '*/10 * * * *', 'UTC', '2026-11-21T02:14:59Z', '2026-11-21T02:00:00.000Z'],
    ['every ten minutes, after them', '*/10 * * * *', 'UTC', '2026-11-21T02:15:01Z', '2026-11-21T02:10:00.000Z'],
    ['in the timezone of the plan', '0 2 * * *', 'Asia/Kolkata', '2026-11-21T00:00:00Z', '2026-11-20T20:30:00.000Z'],
    ['after the clocks went back', '0 2 * * *', 'Europe/Berlin', '2026-10-26T12:00:00Z', '2026-10-26T01:00:00.000Z'],
    ['before they did', '0 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', '2026-10-24T00:00:00.000Z'],
  ])('%s', (_, cron, zone, now, expected) => {
    expect(due(cron, zone, now)).toBe(expected);
  });

  const now = new Date('2026-11-21T12:00:00Z');
  const record = (
    type: BackupRecord['type'],
    timestamp: string,
    location: string,
    more: Partial<BackupRecord> = {},
  ): BackupRecord => ({
    ...{
      id: timestamp,
      system: 'shop',
      kind: 'physical',
      component: 'main',
      database: 'shop',
      size: 1,
      compression: 'zstd',
    },
    ...{ encryption: 'none', files: [], tools: {}, seconds: 1, run: 'r', type, timestamp, location },
    ...more,
  });
  const component = (type: 'full' | 'incremental', verification?: string): Component => ({
    ...{ kind: 'physical', name: 'main', locations: ['onsite', 'offsite'], schedules: [{ type, cron: '0 2 * * *' }] },
    ...(verification ? { verification } : {}),
  });
  const late = (type: 'full' | 'incremental', backups: BackupRecord[], unreadable: Record<string, string> = {}) =>
    lateBackups(component(type), { backups, unreadable }, 'UTC', now).map(
      ({ key, severity, title }) => `${severity} ${key}: ${title}`,
    );
  const today = '2026-11-21T02:03:00Z';

  test('a full backup stands in for an incremental one, and not the other way round; a damaged one for none', () => {
    expect(late('incremental', [record('full', today, 'onsite'), record('full', today, 'offsite')])).toEqual([]);
    expect(late('full', [record('incremental', today, 'onsite'), record('full', today, 'offsite')])).toEqual([
      'warning late/physical/main/full: the full backup of main is late at onsite',
    ]);
    const damaged = { damaged: { at: today, why: 'a digest' } };
    expect(late('full', [record('full', today, 'onsite', damaged), record('full', today, 'offsite', damaged)])).toEqual(
      ['critical late/physical/main/full: the full backup of main is late at onsite and offsite'],
    );
  });

  test('files whose newest sound backup is older than their RPO are told of, at once; what cannot be read is told otherwise', () => {
    const files = (rpo?: number): Component => ({
      ...{ kind: 'files', name: 'uploads', locations: ['onsite'], schedules: [] },
      ...(rpo === undefined ? {} : { rpo }),
    });
    const behind = (rpo: number | undefined, backups: BackupRecord[], unreadable: Record<string, string> = {}) =>
      behindRpo(files(rpo), { backups, unreadable }, now).map(({ severity, title }) => `${severity}: ${title}`);
    const hourOld = record('files', '2026-11-21T11:00:00Z', 'onsite');
    expect(behind(3600, [hourOld])).toEqual([]);
    expect(behind(900, [hourOld])).toEqual([
      'critical: files uploads: the newest backup is 1h 00m old, and its RPO is 15m 00s',
    ]);
    const damaged = record('files', '2026-11-21T11:59:00Z', 'onsite', { damaged: { at: today, why: 'a digest' } });
    expect(behind(900, [hourOld, damaged])).toHaveLength(1);
    expect(behind(900, [])).toEqual(['critical: files uploads: there is no sound backup, and its RPO is 15m 00s']);
    expect(behind(900, [hourOld], { offsite: 'refused' })).toEqual([]);
    expect(behind(undefined, [hourOld]), 'the plan says none').toEqual([]);
  });

  test('one that takes hours is not late while it runs, and is when it should have ended', () => {
    const slow = { seconds: 8 * 3600 };
    const yesterday = ['onsite', 'offsite'].map((location) => record('full', '2026-11-20T10:00:00Z', location, slow));
    expect(late('full', yesterday)).toEqual([]);
    const after = new Date('2026-11-21T15:00:01Z');
    expect(lateBackups(component('full'), { backups: yesterday, unreadable: {} }, 'UTC', after)).toHaveLength(1);
  });

  test('a location that cannot be read is named, and not said to miss anything', () => {
    expect(late('full', [record('full', today, 'onsite')], { offsite: 'no route' })).toEqual([
      'warning unseen/physical backups of main/at offsite: physical backups of main at offsite cannot be looked at',
    ]);
  });

  test('verified or restored since the verification was due: nothing; else it is told', () => {
    const told = (...backups: BackupRecord[]) =>
      unverified(component('full', '0 4 * * 0'), { backups, unreadable: {} }, 'UTC', now).length;
    const old = '2026-11-10T02:00:00Z';
    expect(told(record('full', old, 'onsite'))).toBe(1);
    expect(told(record('full', old, 'onsite', { verified: { at: '2026-11-15T03:59:00Z' } }))).toBe(1);
    expect(
      told(record('full', old, 'onsite', { restored: { at: '2026-11-15T04:10:00Z', seconds: 9, host: 'db1' } })),
    ).toBe(0);
    expect(told(record('full', today, 'onsite')), 'it came after the verification').toBe(0);
    expect(
      unverified(component('full'), { backups: [record('full', old, 'onsite')], unreadable: {} }, 'UTC', now),
    ).toEqual([]);
  });
});
