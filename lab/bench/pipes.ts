import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Lab } from '../lab.js';
import { databaseUser } from '../os-user.js';
import type { Versitygw } from '../servers/versitygw.js';
import { tool } from '../tools.js';

/**
 * What an administrator types who has no Lifeboat: the measure for our backups. Each returns the seconds that it took.
 */
export interface ByHand {
  dump(key: string): Promise<number>;
  restore(key: string, into: string): Promise<number>;
  pgbackrest(): Promise<number>;
  restic(paths: string[]): Promise<number>;
}

const path = '/usr/bin:/bin';
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

export async function byHand(lab: Lab, s3: Versitygw, bucket: string, directory: string): Promise<ByHand> {
  // Debian's: `aws` on PATH may be the shim of another Python, which takes a second to start.
  const aws = existsSync('/usr/bin/aws') ? '/usr/bin/aws' : tool('aws');
  const programs = dirname(tool('postgres'));
  const { primary } = lab;
  const server = ['-h', primary.socketDirectory, '-p', String(primary.port), '-U', 'postgres'];
  const env = {
    PATH: path,
    LC_ALL: 'C.UTF-8',
    HOME: directory,
    PGPASSWORD: primary.passwords.superuser,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    AWS_DEFAULT_REGION: s3.region,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  const to = [aws, '--endpoint-url', s3.endpoint, '--ca-bundle', s3.caFile, 's3', 'cp', '--only-show-errors'];
  const line = (words: string[]) => words.map(quoted).join(' ');
  // An `aws` of somebody's own Python may be theirs alone to run.
  const asMyself = (script: string) => timed(script, directory, env);
  const asDatabaseUser = (script: string) => timed(script, directory, env, databaseUser);
  const program = (name: string, ...args: string[]) => line([join(programs, name), ...server, ...args]);
  const repository = join(directory, 'restic');
  const restic = [tool('restic'), `--repo=${repository}`, `--cache-dir=${join(directory, 'restic-cache')}`];
  const resticEnv = { PATH: path, HOME: directory, RESTIC_PASSWORD: 'by-hand' };
  await timed(line([...restic, 'init']), directory, resticEnv);
  return {
    dump: (key) =>
      asMyself(`${program('pg_dump', '-Fc', primary.database)} | ${line([...to, '-', `s3://${bucket}/${key}`])}`),
    restore: (key, into) =>
      asMyself(
        `${program('createdb', '-T', 'template0', into)} && ${line([...to, `s3://${bucket}/${key}`, '-'])} | ${program('pg_restore', '-d', into)}`,
      ),
    pgbackrest: () =>
      asDatabaseUser(
        line([
          tool('pgbackrest'),
          // The file that Lifeboat wrote: process-max, compression, passphrase and what is kept are the same.
          `--config=${join(lab.env['LIFEBOAT_STATE_DIR']!, lab.system, 'db1', 'pgbackrest', 'main.conf')}`,
          `--stanza=${lab.system}-main`,
          '--type=full',
          'backup',
        ]),
      ),
    restic: (paths) => timed(line([...restic, 'backup', '--quiet', ...paths]), directory, resticEnv),
  };
}

function timed(
  script: string,
  cwd: string,
  env: Record<string, string>,
  user?: { uid: number; gid: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn('bash', ['-c', `set -e -o pipefail; ${script}`], {
      cwd,
      env,
      ...user,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (data: Buffer) => (said += data.toString()));
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0
        ? resolve((performance.now() - began) / 1000)
        : reject(new Error(`by hand: exit code ${code}: ${said.trim()}`)),
    );
  });
}
