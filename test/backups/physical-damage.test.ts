import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { backupPhysical } from '../../activities/backups/backup.js';
import { physical } from '../../activities/backups/physical.js';
import { backupParts, damageBackup, flipByte } from '../../lab/damage-backups.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf } from '../helpers/host.js';

/** A backup that was damaged at its location: verification finds it, names it, and a recovery takes another one. */
describe('a damaged physical backup', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  let kept: string;
  const onsite = () => lab.locations['onsite']!;
  let runs = 0;
  const take = (type: 'full' | 'differential' | 'incremental') =>
    backupPhysical(host.context).execute({ component: 'main', type, run: `damage-${(runs += 1)}` });
  const verify = () => physical.verify(host.context).execute({ component: 'main', location: 'onsite' });
  const listed = async () =>
    (await physical.list(host.context, 'main')).backups.filter(({ location }) => location === 'onsite');
  /** The labels at that location, oldest first: full, full, incremental. */
  const labels = async () => (await listed()).map(({ id }) => id).reverse();
  const copy = (from: string, to: string) => promisify(execFile)('cp', ['-a', from, to]);

  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 200, locations: 2 });
    host = await hostOf(lab);
    await take('full');
    await burst(lab.primary, 5);
    await take('full');
    await burst(lab.primary, 5);
    await take('incremental');
    await host.beat();
  }, 900_000);
  beforeEach(async () => {
    kept = join(lab.directory, 'backups', `kept-${(runs += 1)}`);
    await copy(onsite(), kept);
  });
  afterEach(() => {
    renameSync(onsite(), `${onsite()}.${(runs += 1)}`);
    renameSync(kept, onsite());
  });
  afterAll(() => lab.stop());

  test('none is: all are sound, and the records say so', async () => {
    const found = await verify();
    expect(found).toMatchObject({ sound: 3, damaged: [], failed: [] });
    expect((await listed()).map(({ verified, damaged }) => [verified !== undefined, damaged])).toEqual(
      Array(3).fill([true, undefined]),
    );
  });

  test.each(['flip', 'truncate', 'delete'] as const)(
    '%s a file of the second full one: named, and those based on it',
    async (how) => {
      const [first, second, incremental] = await labels();
      // The tables themselves: what the incremental one takes over from it, too.
      const files = new RegExp(`backup/[^/]+/${second}/pg_data/(base/\\d+/\\d+|PG_VERSION).*`);
      const [file] = damageBackup(onsite(), how, files, 3);
      const found = await verify();
      expect(found.damaged, JSON.stringify(found)).toContainEqual(
        expect.objectContaining({ id: second, location: 'onsite', file: relative(onsite(), file!) }),
      );
      expect(found.sound).toBe(1);
      expect(found.damaged.map(({ id }) => id)).toContain(incremental);
      const records = new Map((await listed()).map((record) => [record.id, record]));
      expect(records.get(second!)!.damaged!.why).toContain(relative(onsite(), file!));
      expect(records.get(first!)!).toMatchObject({ verified: { at: expect.any(String) as string } });
      // A recovery passes it over with the reason, and takes the other location's.
      const { candidates, passedOver } = await passed();
      expect(candidates.filter(({ location }) => location === 'onsite').map(({ label }) => label)).toEqual([first]);
      expect(candidates[0]!.location).toBe('offsite');
      expect(passedOver.join('\n')).toMatch(
        new RegExp(`${second} at onsite: it was found damaged at .*${how === 'delete' ? 'missing' : 'invalid'}`),
      );
    },
  );

  const passed = async () => {
    const { listCandidates } = await import('../../activities/recovery/list-candidates.js');
    return listCandidates(host.context).execute({ database: 'main', target: 'latest' });
  };

  test('mended, and verified again, it is used again', async () => {
    const [, second] = await labels();
    const [file] = damageBackup(onsite(), 'flip', new RegExp(`backup/[^/]+/${second}/pg_data/base/\\d+/\\d+.*`), 3);
    await verify();
    expect((await passed()).candidates.filter(({ location }) => location === 'onsite')).toHaveLength(1);
    await copy(join(kept, relative(onsite(), file!)), file!);
    expect(await verify()).toMatchObject({ sound: 3, damaged: [] });
    expect((await passed()).candidates.filter(({ location }) => location === 'onsite')).toHaveLength(3);
  });

  test('the manifests of two were swapped: both are found', async () => {
    const [first, second] = await labels();
    const manifest = (label: string) => join(onsite(), 'backup', host.cluster.stanza, label, 'backup.manifest');
    for (const suffix of ['', '.copy']) {
      const [a, b] = [first!, second!].map((label) => readFileSync(`${manifest(label)}${suffix}`));
      writeFileSync(`${manifest(first!)}${suffix}`, b!);
      writeFileSync(`${manifest(second!)}${suffix}`, a!);
    }
    const found = await verify();
    for (const label of [first, second])
      expect(found.damaged, JSON.stringify(found)).toContainEqual(
        expect.objectContaining({ id: label, file: expect.stringContaining(`${label}/backup.manifest`) as string }),
      );
  });

  test('a manifest is damaged, or gone', async () => {
    const [first, second] = await labels();
    damageBackup(onsite(), 'flip', new RegExp(`${second}/backup.manifest$`));
    damageBackup(onsite(), 'delete', new RegExp(`${first}/backup.manifest$`));
    const found = await verify();
    expect(new Set(found.damaged.map(({ id }) => id)), JSON.stringify(found)).toEqual(new Set(await labels()));
    for (const label of [first, second])
      expect(found.damaged.find(({ id }) => id === label)!.file).toContain(`${label}/backup.manifest`);
    expect(found.sound).toBe(0);
  });

  test('the records of two were swapped: named, and mended by the verification, since the backups are whole', async () => {
    const [first, second] = await labels();
    const record = (label: string) => join(onsite(), 'lifeboat', lab.system, 'physical', 'main', `${label}.meta.json`);
    const [a, b] = [first!, second!].map((label) => readFileSync(record(label)));
    writeFileSync(record(first!), b!);
    writeFileSync(record(second!), a!);
    expect((await listed()).filter(({ damaged }) => damaged).map(({ id }) => id)).toEqual([second, first]);
    const found = await verify();
    expect(found.damaged.map(({ id, file }) => [id, file.split('/').at(-1)]).sort()).toEqual([
      [first, `${first}.meta.json`],
      [second, `${second}.meta.json`],
    ]);
    expect(found.sound).toBe(3);
    expect((await listed()).every(({ damaged }) => !damaged)).toBe(true);
  });

  test('WAL that it needs to be consistent is gone', async () => {
    const wal = (await listed()).find(({ type }) => type === 'incremental')!;
    damageBackup(onsite(), 'truncate', new RegExp(`archive/.*/${wal.wal!.start}-`));
    const found = await verify();
    expect(found.damaged, JSON.stringify(found)).toContainEqual(
      expect.objectContaining({ id: wal.id, file: expect.stringContaining(wal.wal!.start) as string }),
    );
  });

  test('the list of all backups is damaged: the location is not looked at, and that is said', async () => {
    damageBackup(onsite(), 'truncate', backupParts.info, 1, 4);
    const found = await verify();
    expect(found.sound).toBe(0);
    expect(found.failed.join()).toMatch(/^onsite: /);
  });

  test('nothing of the records is needed to recover: without them the newest of the first location is used', async () => {
    const folder = join(onsite(), 'lifeboat');
    renameSync(folder, `${folder}-away`);
    writeFileSync(folder, 'not a directory');
    const { candidates } = await passed();
    expect(candidates[0]!.location).toBe('onsite');
    expect(readdirSync(onsite())).toContain('backup');
    expect(statSync(folder).isFile()).toBe(true);
  });

  test('a disk that damages what is written: that is found right after the backup, that location fails, the other has it', async () => {
    const known = await labels();
    const taking = take('full');
    const backups = join(onsite(), 'backup', host.cluster.stanza);
    const name = /^\d{8}-\d{6}F$/;
    const label = await until('a backup begins', () =>
      readdirSync(backups).find((one) => name.test(one) && !known.includes(one)),
    );
    const tables = join(backups, label, 'pg_data/base');
    const table = await until('a table is written', () =>
      existsSync(tables)
        ? readdirSync(tables, { recursive: true, encoding: 'utf8' }).find(
            (one) => /^\d+\/\d+\.zst$/.test(one) && statSync(join(tables, one)).size > 20,
          )
        : undefined,
    );
    flipByte(join(tables, table), 15);
    const { locations, failed } = await taking;
    expect(locations).toEqual(['offsite']);
    expect(failed.join()).toMatch(
      new RegExp(`^onsite: ${label} is damaged at onsite, just after it was taken: invalid checksum: .*${table}$`),
    );
    const records = await listed();
    expect(records.find(({ id }) => id === label)!.damaged!.why).toContain(table);
    expect(records.filter(({ damaged }) => damaged)).toHaveLength(1);
    expect(
      (await physical.list(host.context, 'main')).backups.find(({ location }) => location === 'offsite')!.verified,
    ).toBeDefined();
  });
});
