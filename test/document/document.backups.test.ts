import { beforeAll, describe, expect, it } from 'vitest';
import { renderDocument } from '../../document/document.js';
import { parsePlan } from '../../plan/load.js';
import { keepWords } from '../../plan/words.js';
import { changed, whole } from '../plan/plans.js';

/** The printed document of a plan that backs up everything, everywhere. */

const now = new Date('2026-11-21T03:15:00Z');
const print = (plan: string): string => renderDocument(parsePlan(plan, 'lifeboat.yaml'), { now });

let text: string;
let byHand: string;
beforeAll(() => {
  text = print(whole);
  byHand = text.slice(text.indexOf('### If no Lifeboat can be started anywhere'));
});

describe('what is protected', () => {
  it('physical backups: when, how long kept, where, with what', () =>
    expect(text).toContain(
      '| main | every Sunday at 02:00 | not scheduled | every 6 hours, beginning at 00:00 | 2 full backups, and what is based on them; of full ones also the newest of each day for 30 days, and the newest of each month for 12 months; differential and incremental ones for 7d | disk, aws, blob, google, server | pgBackRest |',
    ));
  it.each([
    '| dump of main | db1 | every day at 03:00 | the newest of each day for 30 days | aws, disk | pg_dump, custom format, not compressed |',
    '| dump of managed | app1 | not scheduled | the newest 3, and all of the last 90d | server | pg_dump, custom format, compressed |',
    '| files main | app1 | every day at 01:00 | all of the last 90d | minio, server | restic: `/srv/uploads`; without `*.tmp` |',
    '| Redis main | app1 | every day at 01:00 | the newest of each day for 30 days | disk | a snapshot of the server on port 6379, then restic |',
    '| code main | app1 | not scheduled | the newest of each day for 30 days | disk, aws | a Git bundle of each: site (`https://git.example.com/site.git`) |',
    '| main | verification: the newest backup is restored to scratch and verified | test1 | every Sunday at 04:00 |',
    '| main | restore test: a whole restore to staging, from each location in turn | db2 | on day 1 of each month at 04:00 |',
    '**No restore of managed and wal is tried by the clock.**',
    '| disk | a directory | `/mnt/backups` | **not encrypted** |',
    '| aws | Amazon S3, us-east-1 | `s3://shop/a/b` | `env:PASSPHRASE` |',
    '| minio | S3-compatible storage at `https://s3.example.com:9000` | `s3://shop` | `env:PASSPHRASE` |',
    '| blob | Azure Blob Storage | `azure://shop/backups` | `env:PASSPHRASE` |',
    '| google | Google Cloud Storage | `gs://shop` | **not encrypted** |',
    '| server | a server, by SFTP on port 22 | `shop@backup.example.com:/srv/backups` | **not encrypted** |',
    '| test1 | `test1` | here | test restores of main | `/srv/scratch` |',
    '| managed | `stock` | app1 | none | none: dumps alone, through `env:STOCK_URL` | in the URL | none |',
  ])('%s', (line) => expect(text).toContain(line));
  it('who is told', () => {
    expect(text).toContain('| Slack | \\#ops | everything |');
    expect(text).toContain('| E-mail | b@example.com, by `smtp.example.com` | everything |');
    expect(text).toContain('| PagerDuty | whoever its service calls | what is critical |');
    expect(print(whole.replace(/notifications:\n( .*\n)+/, ''))).toContain('**Nobody.** The plan names no channel');
  });
});

describe('a database of which there are dumps alone', () => {
  it('is no case for database-corruption, and the document says what is', () => {
    expect(text).not.toContain('start database-corruption --database managed');
    expect(text).toContain('Of managed there are dumps alone');
    expect(text).toContain('database-corruption cannot run for it');
    expect(text).toContain('lifeboat backup list --database managed');
    expect(text).not.toContain('Here, managed');
  });
  it('and a plan of such ones alone prints no steps that never run', () => {
    const alone = whole
      .replace(/ {2}main:\n {4}name: shop\n(.*\n){6}/, '')
      .replace(/ {2}wal:\n(.*\n){4}/, '')
      .replace(/drills:\n.*\n/, '');
    const printed = print(alone);
    expect(printed).toContain('it cannot run: the plan takes no physical backups');
    expect(printed).not.toContain('**Stop writes.**');
    expect(printed).not.toContain('lifeboat drill start');
    expect(printed).toContain('No scenario can be drilled without physical backups');
  });
});

describe('by hand', () => {
  const has = (...lines: string[]): void => {
    for (const line of lines) expect(byHand).toContain(line);
  };
  it('physical backups from each kind of location', () => {
    has('repo1-path=/mnt/backups\n');
    has(
      'repo1-type=s3',
      'repo1-path=/a/b',
      'repo1-s3-endpoint=s3.us-east-1.amazonaws.com',
      'repo1-s3-key=(what env:S3_KEY stands for)',
    );
    has('repo1-type=azure', 'repo1-azure-container=backups', 'repo1-azure-key=(what env:AZURE_KEY stands for)');
    has('repo1-type=gcs', 'repo1-gcs-key=(a file of mode 600 with what file:secrets/google.json stands for)');
    has('repo1-type=sftp', 'repo1-sftp-host=backup.example.com', '(SFTP needs pgBackRest 2.46 or newer)');
    has('pgbackrest --config=$PWD/by-hand.conf --stanza=shop-main --archive-mode=off restore');
  });
  it("an endpoint of one's own, by its port and its authority", () => {
    const own = print(
      changed(whole, [
        '{ account: shop, container: backups, key: env:AZURE_KEY }',
        '{ account: shop, container: backups, key: env:AZURE_KEY, endpoint: "https://127.0.0.1:10000/shop", caFile: /etc/ca.pem }',
      ]),
    );
    for (const line of [
      'azure-endpoint=127.0.0.1',
      'azure-uri-style=path',
      'storage-port=10000',
      'storage-ca-file=/etc/ca.pem',
    ])
      expect(own).toContain(`repo1-${line}\n`);
  });
  it('wal-g', () => {
    has(
      'export WALG_GS_PREFIX=gs://shop/wal-g/shop-wal',
      'export WALG_S3_PREFIX=s3://shop/wal-g/shop-wal',
      'AWS_ENDPOINT=https://s3.example.com:9000',
    );
    has(
      'export WALG_FILE_PREFIX=/mnt/backups/wal-g/shop-wal',
      'wal-g backup-fetch /srv/pg/wal.restored-by-hand LATEST',
    );
  });
  it('a dump: encrypted or not, compressed or not, as its location and the plan say', () => {
    has('age -d ID/database.dump.age | pg_restore --exit-on-error --dbname=shop_restored');
    has(
      'cat ID/database.dump | pg_restore --exit-on-error --dbname=shop_restored',
      'cat ID/globals.sql | psql -d postgres',
    );
    has('zstd -dc ID/database.dump.zst | pg_restore --exit-on-error --dbname=stock_restored');
    has('aws s3 cp --recursive s3://shop/a/b/lifeboat/shop/logical/main/ID/ ID/');
    has('sftp -r -P 22 -i KEYFILE shop@backup.example.com:/srv/backups/lifeboat/shop/logical/managed/ID .');
  });
  it('files and Redis with restic, code with git', () => {
    has(
      'export RESTIC_REPOSITORY=s3:https://s3.example.com:9000/shop/restic',
      'restic restore latest --tag component=shop/files/main --target restored',
    );
    has('export RESTIC_REPOSITORY=/mnt/backups/restic', 'restic snapshots --tag component=shop/redis/main');
    has('age -d ID/site.bundle.age > ID/site.bundle', 'git clone ID/site.bundle site');
  });
  it('holds references, and says of each where it is used', () => {
    expect(byHand).toContain('| `env:STOCK_URL` | `databases.managed.postgres.url` |');
    expect(text).not.toMatch(/undefined|\[object/);
  });
});

it('has tables whose rows have as many cells as their heads', () => {
  for (const block of text.split('\n\n').filter((each) => each.startsWith('| '))) {
    const cells = block
      .trim()
      .split('\n')
      .map((line) => line.replace(/\\\|/g, '').split('|').length);
    expect(new Set(cells).size, block).toBe(1);
  }
});

it.each([
  [{ daily: 30 }, 'the newest of each day for 30 days'],
  [{ daily: 1, monthly: 1 }, 'the newest of each day for 1 day, and the newest of each month for 1 month'],
  [{ last: 2, daily: 3, for: 86_400 }, 'the newest 2, the newest of each day for 3 days, and all of the last 1d'],
  [{}, 'none'],
])('%j in words', (keep, words) => expect(keepWords(keep)).toBe(words));
