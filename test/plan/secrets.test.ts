import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, afterEach, describe, expect, it, vi } from 'vitest';
import { planJsonSchema } from '../../plan/json-schema.js';
import { parsePlan } from '../../plan/load.js';
import { allSecretReferences, resolveSecret, SecretError, secretsOn } from '../../plan/secrets.js';
import { goodPlan, whole } from './plans.js';

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
  expect(error).toMatchObject({
    reference,
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
});

it('an empty variable is as good as none', async () => {
  vi.stubEnv('LIFEBOAT_TEST', '');
  await expect(resolveSecret('env:LIFEBOAT_TEST', directory)).rejects.toThrow(/empty/);
});

it.each(['hunter2', 'envHOME', 'env:', 'vault:hunter2'])(
  'does not repeat what is no reference: %s',
  async (reference) => {
    const error = await resolveSecret(reference, directory).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SecretError);
    expect(JSON.stringify({ ...(error as object), message: (error as Error).message })).not.toContain('hunter2');
  },
);

it('lists every reference of a plan with its place', () => {
  expect(allSecretReferences(goodPlan())).toEqual([
    { reference: 'env:BACKUP_PASSPHRASE', usedBy: 'locations.onsite.encryption' },
    { reference: 'file:secrets/postgres', usedBy: 'databases.main.postgres.password' },
    { reference: 'env:REPLICATION_PASSWORD', usedBy: 'databases.main.postgres.replication.password' },
  ]);
});

it('forgets no place of the schema that takes a secret', () => {
  const places = allSecretReferences(parsePlan(whole, 'lifeboat.yaml')).map(({ usedBy }) => usedBy);
  const all = [...places, ...allSecretReferences(goodPlan()).map(({ usedBy }) => usedBy)];
  // As in the schema: databases.NAME.postgres.password.
  const kinds = new Set(all.map((usedBy) => usedBy.replace(/^(locations|databases|redis)\.[^.]+/, '$1.NAME')));
  expect([...kinds].sort()).toHaveLength(planJsonSchema().split('^(env:').length - 1);
  expect(places).toEqual([
    'locations.aws.s3.accessKeyId',
    'locations.aws.s3.secretAccessKey',
    'locations.aws.encryption',
    'locations.minio.encryption',
    'locations.blob.azure.key',
    'locations.blob.encryption',
    'locations.google.gcs.credentials',
    'locations.server.sftp.privateKey',
    'databases.managed.postgres.url',
    'databases.wal.postgres.password',
    'redis.main.password',
    'notifications.slack.token',
    'notifications.email.password',
    'notifications.pagerduty.routingKey',
  ]);
});

describe('a host needs the secrets of what it does, and no others', () => {
  const on = (host: string) => secretsOn(parsePlan(whole, 'lifeboat.yaml'), host).map(({ usedBy }) => usedBy);
  const ofMain = [
    'aws.s3.accessKeyId',
    'aws.s3.secretAccessKey',
    'aws.encryption',
    'blob.azure.key',
    'blob.encryption',
  ];
  const locations = (...names: string[]) => names.map((name) => `locations.${name}`);

  it('the primary: the locations of its database', () =>
    expect(on('db1')).toEqual(locations(...ofMain, 'google.gcs.credentials', 'server.sftp.privateKey')));
  it('a standby takes over: the same; and what else is on it', () =>
    expect(on('db2')).toEqual([
      ...locations('aws.s3.accessKeyId', 'aws.s3.secretAccessKey', 'aws.encryption', 'minio.encryption'),
      ...locations('blob.azure.key', 'blob.encryption', 'google.gcs.credentials', 'server.sftp.privateKey'),
      'databases.wal.postgres.password',
    ]));
  it('who tries backups: their locations, and no password of the server', () => expect(on('test1')).toEqual(on('db1')));
  it('who dumps a managed database, and keeps files, Redis and code', () =>
    expect(on('app1')).toEqual([
      ...locations(
        'aws.s3.accessKeyId',
        'aws.s3.secretAccessKey',
        'aws.encryption',
        'minio.encryption',
        'server.sftp.privateKey',
      ),
      'databases.managed.postgres.url',
      'redis.main.password',
    ]));
  it('a host that does none of it: none', () => expect(secretsOn(goodPlan(), 'app1')).toEqual([]));
});
