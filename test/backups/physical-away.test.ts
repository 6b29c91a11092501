import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { physical } from '../../activities/backups/physical.js';
import { listArchive } from '../../activities/backups/wal.js';
import { createLab, type Lab } from '../../lab/lab.js';
import type { Versitygw } from '../../lab/servers/versitygw.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf, switchSegment, withPlan } from '../helpers/host.js';
import { makeStores, s3Keys, s3Location } from '../helpers/stores.js';

/** One of two locations is away, comes back, and loses its backups; the other goes on. */
describe('physical backups while a location is away', { timeout: 900_000 }, () => {
  const stores = makeStores();
  let lab: Lab | undefined;
  let host: Host;
  let eu: Versitygw & { bucket: string };
  let runs = 0;

  const take = (context = host.context, run = `run-${(runs += 1)}`) =>
    backupPhysical(context).execute({ component: 'main', type: 'incremental', run });
  const labelsAt = async (location: string) =>
    (await physical.list(host.context, 'main')).backups.filter((one) => one.location === location).map(({ id }) => id);
  const arrived = async (location: string, segments: string[]) => {
    const archive = await listArchive(host.cluster, [location], 16 * 1024 * 1024);
    return segments.every((segment) => archive.segments.includes(segment));
  };

  beforeAll(async () => {
    eu = await stores.s3('eu', 'eu-west-1');
    lab = await createLab({
      ...{ temporal: 'none', service: false, fast: true, rows: 50 },
      env: s3Keys(eu, 'EU'),
      plan: (plan) => {
        plan.locations['eu'] = s3Location(eu, 'EU');
        plan.databases['main']!.backups.physical!.locations = ['onsite', 'eu'];
      },
    });
    host = await hostOf(lab);
  }, 900_000);
  afterAll(async () => {
    try {
      await lab?.stop();
    } finally {
      stores.stop();
    }
  });

  test('two at once of one database come one after the other, and asked twice by one run it is taken once', async () => {
    const both = await Promise.all([take(host.context, 'twice'), take(host.context, 'other')]);
    const again = await take(host.context, 'twice');
    expect(both.flatMap(({ failed }) => failed)).toEqual([]);
    expect(again.id).toBe(both[0].id);
    for (const location of ['onsite', 'eu']) expect(await labelsAt(location)).toHaveLength(2);
  });

  const missed: string[] = [];

  test('the other takes the backup and all WAL; the result, a list and a verification name the one that is away', async () => {
    await eu.kill9();
    const result = await take();
    expect(result.locations).toEqual(['onsite']);
    expect(result.failed.join('\n')).toMatch(/^eu: .*(connect|refused)/i);
    expect(result.summary).toMatch(/NOT at eu: /);
    missed.push(await switchSegment(lab!.primary), await switchSegment(lab!.primary));
    const [, { unreadable }, found] = await Promise.all([
      until('WAL arrives at the one that answers', () => arrived('onsite', missed), 240),
      physical.list(host.context, 'main'),
      physical.verify(host.context).execute({ component: 'main' }),
    ]);
    expect(Object.keys(unreadable)).toEqual(['eu']);
    expect(found).toMatchObject({ sound: 3, damaged: [] });
    expect(found.failed.join()).toMatch(/^eu: /);
  });

  test('when it comes back, it gets what was archived meanwhile, and takes the next backup', async () => {
    await eu.restart();
    const result = await take();
    expect(result, result.summary).toMatchObject({ failed: [], locations: ['onsite', 'eu'] });
    await until('it has the WAL that it missed', () => arrived('eu', missed), 240);
  });

  test('a bucket that lost its backups is not filled anew', async () => {
    rmSync(join(eu.bucketDirectory(eu.bucket), 'insight'), { recursive: true });
    const result = await take();
    expect(result.failed.join('\n')).toMatch(
      /^eu: its backups are not there any more: is s3:\/\/backups-eu\/insight\/db still the one/m,
    );
    expect(result.locations).toEqual(['onsite']);
  });

  test('when nothing takes a backup, what to do fits the kind of location', async () => {
    const context = withPlan(host, (plan) => {
      plan.locations['eu']!.s3!.endpoint = 'https://localhost:1';
      plan.databases['main']!.backups.physical!.locations = ['eu'];
    });
    const refused = await take(context).catch((error: unknown) => error as { details?: [{ hint: string }] });
    const [{ hint }] = (refused as { details: [{ hint: string }] }).details;
    expect(hint).toMatch(
      /^See that the store answers at its endpoint, .*caFile.*keys are right; or correct the location/,
    );
    expect(hint).not.toMatch(/mount/i);
  });

  test('an SFTP server needs a newer pgBackRest: the failure says so, and the others go on', async () => {
    const context = withPlan(host, (plan) => {
      plan.locations['far'] = {
        sftp: {
          host: 'localhost',
          port: 22,
          user: 'backup',
          directory: '/srv',
          privateKey: 'file:/nowhere',
          hostKey: 'ssh-ed25519 AAAA',
        },
      };
      plan.databases['main']!.backups.physical!.locations = ['onsite', 'far'];
    });
    const result = await take(context);
    expect(result.locations).toEqual(['onsite']);
    expect(result.failed.join()).toMatch(/far: .*SFTP.* since 2\.46, and db1 has pgBackRest 2\.4\d/);
  });
});
