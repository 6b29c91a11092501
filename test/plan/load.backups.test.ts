import { describe, expect, it } from 'vitest';
import { changed, problemsOf, where, whole } from './plans.js';

/**
 * Mistakes in what is backed up, how, where and by whom it is tried; each told at its place, with what would be right.
 */

it('a plan with every kind of backup, at every kind of location, is good', () => {
  expect(problemsOf(whole)).toEqual([]);
});

type Mistake = [what: string, from: string, to: string, place: string, message: RegExp, right: RegExp];

describe('locations', () => {
  it.each<Mistake>([
    [
      'no kind',
      '{ directory: /mnt/backups }',
      '{ encryption: env:X }',
      '9:3 locations.disk',
      /says not where it is/,
      /^one of directory, s3, azure, gcs, sftp$/,
    ],
    [
      'two kinds',
      'directory: /mnt/backups }',
      'directory: /mnt/backups, gcs: { bucket: x } }',
      '9:36 locations.disk.gcs',
      /in 2 places: directory and gcs/,
      /of its own/,
    ],
    [
      'one place, named twice',
      '{ bucket: shop, endpoint: "https://s3.example.com:9000", pathStyle: true }',
      '{ bucket: shop, prefix: a/b }',
      '11:3 locations.minio',
      /same place as location "aws"/,
      /one copy/,
    ],
    [
      'one directory, named twice',
      '{ gcs: { bucket: shop, credentials: file:secrets/google.json } }',
      '{ directory: /mnt//backups/ }',
      '13:3 locations.google',
      /same place as location "disk"/,
      /one copy/,
    ],
    [
      'a key without its secret',
      ', secretAccessKey: env:S3_SECRET',
      '',
      '10:10 locations.aws.s3.secretAccessKey',
      /goes with "accessKeyId"/,
      /credentials of the machine/,
    ],
    [
      'a secret without its key',
      'accessKeyId: env:S3_KEY, ',
      '',
      '10:10 locations.aws.s3.accessKeyId',
      /goes with "secretAccessKey"/,
      /credentials of the machine/,
    ],
    [
      'a secret in clear',
      'key: env:AZURE_KEY',
      'key: bXkgc2VjcmV0',
      '12:60 locations.blob.azure.key',
      /\(hidden\) is not right/,
      /env:NAME or file:PATH/,
    ],
    [
      'the key of a server, as a fingerprint',
      'hostKey: ssh-ed25519 AAAA',
      'hostKey: "SHA256:abc"',
      '14:123 locations.server.sftp.hostKey',
      /not right/,
      /ssh-keyscan/,
    ],
    [
      'a key of another kind',
      'account: shop, container',
      'account: shop, bucket: x, container',
      '12:35 locations.blob.azure.bucket',
      /unknown key/,
      /belongs below/,
    ],
    [
      'backups in a data directory',
      '/mnt/backups',
      '/srv/pg/main/backups',
      '9:22 locations.disk.directory',
      /inside of the data directory of database "main"/,
      /elsewhere/,
    ],
  ])('%s', mistake);
});

describe('the backups of a database', () => {
  it.each<Mistake>([
    [
      'neither files nor a URL',
      ', url: env:STOCK_URL',
      '',
      '26:5 databases.managed.postgres.dataDirectory',
      /"dataDirectory" is missing/,
      /or "url"/,
    ],
    [
      'physical ones of a managed database',
      'logical: { locations: [server], keep',
      'physical: { locations: [server] }\n      logical: { locations: [server], keep',
      '28:7 databases.managed.backups.physical',
      /need "dataDirectory"/,
      /"logical"/,
    ],
    [
      'standbys of a managed database',
      '{ primary: app1, url',
      '{ primary: app1, standbys: [db1], url',
      '26:32 databases.managed.postgres.standbys',
      /need "dataDirectory"/,
      /its provider/,
    ],
    [
      'no kind',
      '    backups:\n      logical: { locations: [server], keep: { last: 3, for: 90d } }',
      '    backups: {}',
      '27:5 databases.managed.backups',
      /no kind of backup/,
      /"physical", "logical"/,
    ],
    [
      'a location that is not there',
      'logical: { locations: [aws, disk]',
      'logical: { locations: [aws, dsik]',
      '21:35 databases.main.backups.logical.locations[1]',
      /unknown location "dsik"/,
      /"disk"/,
    ],
    [
      'a location twice',
      'logical: { locations: [aws, disk]',
      'logical: { locations: [aws, aws]',
      '21:35 databases.main.backups.logical.locations[1]',
      /twice/,
      /remove one/,
    ],
    [
      'a physical location twice',
      '[disk, aws, blob,',
      '[disk, aws, aws,',
      '20:42 databases.main.backups.physical.locations[2]',
      /twice/,
      /remove one/,
    ],
    [
      'rules that keep nothing',
      'keep: { last: 3, for: 90d }',
      'keep: {}',
      '28:45 databases.managed.backups.logical.keep',
      /nothing would be kept/,
      /daily/,
    ],
    [
      'wal-g to where it does not go',
      '[google, minio, disk]',
      '[google, blob]',
      '33:54 databases.wal.backups.physical.locations[1]',
      /wal-g keeps no backups at "blob", which is of kind azure/,
      /pgbackrest/,
    ],
    [
      'verified on a host that is not there',
      'verification: { host: test1',
      'verification: { host: test',
      '22:29 databases.main.backups.verification.host',
      /unknown host "test"/,
      /"test1"/,
    ],
    [
      'verified where there is no place',
      'verification: { host: test1',
      'verification: { host: app1',
      '22:29 databases.main.backups.verification.host',
      /no place on host "app1"/,
      /scratch: .* or name db1 or db2/,
    ],
    [
      'tested on a host that is not there',
      'restoreTest: { host: db2',
      'restoreTest: { host: db3',
      '23:28 databases.main.backups.restoreTest.host',
      /unknown host "db3"/,
      /"db1"|"db2"/,
    ],
    [
      'a drill of dumps',
      'database-corruption, database: main',
      'database-corruption, database: managed',
      '45:48 drills[0].database',
      /cannot be drilled on database "managed"/,
      /verification/,
    ],
  ])('%s', mistake);

  it('two managed databases may share a host: they have no port on it', () => {
    const second =
      '  second: { name: x, postgres: { primary: app1, url: env:X }, backups: { logical: { locations: [disk] } } }\n';
    expect(problemsOf(changed(whole, ['  wal:\n', `${second}  wal:\n`]))).toEqual([]);
  });
});

it('a managed database may be tried on the host that dumps it', () => {
  expect(
    problemsOf(
      changed(whole, ['keep: { last: 3, for: 90d } }', 'keep: { last: 3 } }\n      restoreTest: { host: app1 }']),
    ),
  ).toEqual([]);
});

it('files may hold the place where they go when it is left out of them', () => {
  const itself = changed(whole, [
    'paths: [/srv/uploads], exclude: ["*.tmp"], locations: [minio',
    'paths: [/mnt], exclude: [/mnt/backups], locations: [disk',
  ]);
  expect(problemsOf(itself)).toEqual([]);
  expect(problemsOf(itself.replace(', exclude: [/mnt/backups]', ''))).toMatchObject([
    {
      path: 'files.main.paths[0]',
      message: expect.stringContaining('this holds /mnt/backups'),
      hint: expect.stringContaining('exclude'),
    },
  ]);
});

describe('files, Redis, code, and where backups are tried', () => {
  it.each<Mistake>([
    [
      'files on a host that is not there',
      'main: { host: app1, paths',
      'main: { host: ap1, paths',
      '35:17 files.main.host',
      /unknown host "ap1"/,
      /"app1"/,
    ],
    [
      'files to a location that is not there',
      '[minio, server]',
      '[mino, server]',
      '35:78 files.main.locations[0]',
      /unknown location "mino"/,
      /"minio"/,
    ],
    [
      'files of a running server',
      'host: app1, paths: [/srv/uploads]',
      'host: db1, paths: [/srv/uploads, /srv/pg/main/base/]',
      '35:44 files.main.paths[1]',
      /inside of the data directory of database "main"/,
      /of its own/,
    ],
    ['a relative path', '/srv/uploads', './uploads', '35:31 files.main.paths[0]', /not right/, /absolute path/],
    [
      'Redis on a host that is not there',
      'main: { host: app1, password',
      'main: { host: redis, password',
      '37:17 redis.main.host',
      /unknown host "redis"/,
      /app1/,
    ],
    [
      'Redis to a location that is not there',
      'REDIS_PASSWORD, locations: [disk]',
      'REDIS_PASSWORD, locations: [dusk]',
      '37:65 redis.main.locations[0]',
      /unknown location/,
      /"disk"/,
    ],
    [
      'code on a host that is not there',
      'main: { host: app1, repositories',
      'main: { host: app2, repositories',
      '39:17 code.main.host',
      /unknown host "app2"/,
      /"app1"/,
    ],
    [
      'code to one location twice',
      'locations: [disk, aws] }',
      'locations: [disk, disk] }',
      '39:101 code.main.locations[1]',
      /twice/,
      /remove one/,
    ],
    [
      'a password in a URL',
      'https://git.',
      'https://me:hunter2@git.',
      '39:45 code.main.repositories.site',
      /credentials in this URL/,
      /credential helper/,
    ],
    [
      'a token in a URL',
      'https://git.',
      'https://hunter2@git.',
      '39:45 code.main.repositories.site',
      /credentials in this URL/,
      /credential helper/,
    ],
    [
      'scratch inside of a data directory',
      'db2: { region: there',
      'db2: { region: there, scratch: /srv/pg/main/scratch',
      '5:34 hosts.db2.scratch',
      /is inside of the data directory of database "main"/,
      /apart/,
    ],
    [
      'a data directory inside of scratch',
      'db2: { region: there',
      'db2: { region: there, scratch: /srv/pg',
      '5:34 hosts.db2.scratch',
      /holds the data directory of database "main"/,
      /apart/,
    ],
    [
      'a user without a password',
      ', password: env:SMTP_PASSWORD',
      '',
      '42:3 notifications.email.password',
      /goes with "user"/,
      /neither/,
    ],
    [
      'a password without a user',
      'user: shop, password: env:SMTP',
      'password: env:SMTP',
      '42:3 notifications.email.user',
      /goes with "password"/,
      /neither/,
    ],
  ])('%s', mistake);

  it('another host may have scratch where this one has its data', () => {
    expect(
      problemsOf(changed(whole, ['app1: { region: here }', 'app1: { region: here, scratch: /srv/pg/main }'])),
    ).toEqual([]);
  });
});

it.each([
  ['key: env:AZURE_KEY', 'key: hunter2'],
  ['url: env:STOCK_URL', 'url: hunter2'],
  ['credentials: file:secrets/google.json', 'credentials: [hunter2]'],
  ['privateKey: file:secrets/key', 'privateKey: "hunter2 hunter2"'],
  ['routingKey: env:PAGERDUTY_KEY', 'routingKey: hunter2'],
  ['accessKeyId: env:S3_KEY', 'accessKeyId: { hunter2: hunter2 }'],
])('what stands where %s was is never repeated', (from, to) => {
  const problems = problemsOf(changed(whole, [from, to]));
  expect(problems).toMatchObject([{ found: '(hidden)', expected: expect.stringContaining('never the secret itself') }]);
  expect(JSON.stringify(problems)).not.toContain('hunter2');
});

function mistake(_: string, from: string, to: string, place: string, message: RegExp, right: RegExp): void {
  const problems = problemsOf(changed(whole, [from, to]));
  expect(problems.map(where)).toEqual([place]);
  const [problem] = problems;
  expect(problem!.message).toMatch(message);
  expect(`${problem!.hint ?? ''}${problem!.expected ?? ''}`).toMatch(right);
  expect(JSON.stringify(problem)).not.toMatch(/hunter2|bXkgc2VjcmV0/);
}
