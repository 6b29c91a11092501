import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, afterEach, expect, it, vi } from 'vitest';
import { planJsonSchema } from '../../plan/json-schema.js';
import { allSecretReferences, resolveSecret, SecretError } from '../../plan/secrets.js';
import { goodPlan } from './plans.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lifeboat-secrets-'));
  await mkdir(join(directory, 'folder'));
  await writeFile(join(directory, 'one'), 'correct horse\n');
  await writeFile(join(directory, 'windows'), 'a b \r\n');
  await writeFile(join(directory, 'empty'), '\n');
});
afterAll(() => rm(directory, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

it('reads the environment', async () => {
  vi.stubEnv('LIFEBOAT_TEST', 's3cret');
  expect(await resolveSecret('env:LIFEBOAT_TEST', directory)).toBe('s3cret');
});

it('reads a file, relative to the plan or absolute, without the line end', async () => {
  expect(await resolveSecret('file:one', directory)).toBe('correct horse');
  expect(await resolveSecret(`file:${join(directory, 'one')}`, '/nowhere')).toBe('correct horse');
  expect(await resolveSecret('file:windows', directory)).toBe('a b ');
});

it.each([
  ['env:LIFEBOAT_UNSET', /not set/, /export LIFEBOAT_UNSET=/],
  ['file:none', /does not exist/, /Put the secret into/],
  ['file:folder', /is a directory/, /Put the secret into/],
  ['file:empty', /is empty/, /Put the secret into/],
])('%s: says what to do', async (reference, message, hint) => {
  const error = await resolveSecret(reference, directory).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SecretError);
  expect(error).toMatchObject({ reference, message: expect.stringMatching(message), hint: expect.stringMatching(hint) });
});

it('an empty variable is as good as none', async () => {
  vi.stubEnv('LIFEBOAT_TEST', '');
  await expect(resolveSecret('env:LIFEBOAT_TEST', directory)).rejects.toThrow(/empty/);
});

it.each(['hunter2', 'envHOME', 'env:', 'vault:hunter2'])('does not repeat what is no reference: %s', async (reference) => {
  const error = await resolveSecret(reference, directory).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SecretError);
  expect(JSON.stringify({ ...(error as object), message: (error as Error).message })).not.toContain('hunter2');
});

it('lists every reference of a plan with its place', () => {
  expect(allSecretReferences(goodPlan())).toEqual([
    { reference: 'env:BACKUP_PASSPHRASE', usedBy: 'locations.onsite.encryption' },
    { reference: 'file:secrets/postgres', usedBy: 'databases.main.postgres.password' },
    { reference: 'env:REPLICATION_PASSWORD', usedBy: 'databases.main.postgres.replication.password' },
  ]);
});

it('forgets no place of the schema that takes a secret', () => {
  expect(planJsonSchema().split('^(env:').length - 1).toBe(3);
});
