import { afterAll, beforeAll, expect, test } from 'vitest';
import { logical } from '../../activities/backups/logical/provider.js';
import { createDumps, type Dumps, keptAt, namesOf, tamper } from '../helpers/dumps.js';
import { makePlaces, type Places } from '../helpers/locations.js';

/** Dumps at object stores: the same, whatever the kind. (What each kind of location promises is in test/locations.) */

let places: Places;
let dumps: Dumps;
const kinds = ['s3', 'azure', 'sftp'] as const;

beforeAll(async () => {
  places = makePlaces();
  const started = await Promise.all(kinds.map((kind) => places.start(kind)));
  dumps = await createDumps((plan) => {
    for (const { kind, plan: place } of started)
      plan.locations[kind] = { [kind]: place, encryption: 'env:BACKUP_PASSPHRASE' };
    plan.databases['main']!.backups.logical = { locations: ['onsite', ...kinds] };
    delete plan.databases['main']!.backups.physical;
  });
}, 900_000);
afterAll(async () => {
  await dumps.lab.stop();
  places.stop();
});

test('one dump is kept at a directory, S3, Azure and SFTP, verified and restored from each, and removed', async () => {
  // Several parts of an upload.
  await dumps.lab.primary.sql(
    'create table bulk as select g as id, gen_random_uuid()::text as t from generate_series(1, 500000) g',
  );
  const taken = await dumps.take();
  expect(taken).toMatchObject({ locations: ['onsite', ...kinds], failed: [] });
  expect(await logical.verify(dumps.context).execute({ component: 'main' })).toMatchObject({
    sound: 4,
    damaged: [],
    failed: [],
  });
  for (const location of kinds) {
    expect(await keptAt(dumps.context, location)).toHaveLength(3);
    const { into } = await dumps.restore({ id: taken.id, location, into: `from ${location}` });
    const [rows] = await dumps.lab.primary.sql<{ n: number }>('select count(*)::int as n from bulk', [], into);
    expect(rows!.n, location).toBe(500_000);
    await dumps.lab.primary.sql(`drop database "${into}"`, [], 'postgres');
  }
  for (const location of kinds)
    await tamper(
      dumps.context,
      location,
      namesOf(dumps.context, taken.id).dump,
      (data) => (data.set([data[1_000_000]! ^ 1], 1_000_000), data),
    );
  const { damaged } = await logical.verify(dumps.context).execute({ component: 'main' });
  expect(damaged.map(({ location, file }) => [location, file])).toEqual(
    kinds.map((kind) => [kind, namesOf(dumps.context, taken.id).dump]),
  );
  for (const location of kinds) {
    await logical.remove(dumps.context, 'main', location, [taken.id]);
    expect(await keptAt(dumps.context, location), location).toEqual([]);
  }
});

test('a dump that fails in the middle leaves no upload behind', async () => {
  const { primary } = dumps.lab;
  const ending = setInterval(
    () =>
      void primary
        .sql(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_dump' and query like 'COPY public.bulk%'`,
          [],
          'postgres',
        )
        .catch(() => undefined),
    20,
  );
  try {
    await expect(dumps.take()).rejects.toThrow(/pg_dump ended with code 1/);
  } finally {
    clearInterval(ending);
  }
  for (const location of kinds) expect(await keptAt(dumps.context, location), location).toEqual([]);
});
