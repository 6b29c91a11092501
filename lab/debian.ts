import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capture } from './capture.js';
import { tool } from './tools.js';

/**
 * A cluster as Debian's own programs make it, with its defaults: configuration in /etc, ssl on, started by
 * pg_ctlcluster.
 */

export interface DebianCluster {
  version: string;
  /** Nobody else's: it is random. */
  name: string;
}

/**
 * Where a lab writes down which clusters it made, before it makes them: they lie outside of its directory, and go with
 * it all the same.
 */
const listOf = (lab: string) => join(lab, 'debian.clusters');

const home = ({ version }: DebianCluster) => join('/var/lib/postgresql', version);
export const dataDirectoryOf = (cluster: DebianCluster): string => join(home(cluster), cluster.name);
export const configurationOf = ({ version, name }: DebianCluster): string => join('/etc/postgresql', version, name);
export const logOf = ({ version, name }: DebianCluster): string =>
  `/var/log/postgresql/postgresql-${version}-${name}.log`;

/** Makes one; `lab` is the lab that it goes with. */
export async function createDebianCluster(lab: string, port: number): Promise<DebianCluster> {
  const version = /\d+/.exec(execFileSync(tool('postgres'), ['--version'], { encoding: 'utf8' }))![0];
  const cluster = { version, name: `lifeboat${randomBytes(6).toString('hex')}` };
  appendFileSync(listOf(lab), `${version} ${cluster.name}\n`);
  await program(lab, 'pg_createcluster', ['--port', String(port), '--start-conf', 'manual', version, cluster.name]);
  return cluster;
}

export const startDebianCluster = (lab: string, { version, name }: DebianCluster): Promise<void> =>
  program(lab, 'pg_ctlcluster', [version, name, 'start']);

async function program(lab: string, name: string, args: string[]): Promise<void> {
  const { code, stdout, stderr } = await capture(name, args, lab, { PATH: process.env.PATH ?? '', LC_ALL: 'C' });
  if (code !== 0) throw new Error(`${name} ${args.join(' ')} ended with code ${code}: ${(stderr || stdout).trim()}`);
}

/**
 * Removes exactly the clusters that this lab made, and what Lifeboat kept beside them. Synchronous: it runs while a
 * process exits.
 */
export function dropDebianClusters(lab: string): void {
  if (!existsSync(listOf(lab))) return;
  for (const line of readFileSync(listOf(lab), 'utf8').split('\n')) {
    const [, version, name] = /^(\d+) (lifeboat[0-9a-f]{12})$/.exec(line) ?? [];
    if (!version || !name) continue;
    const cluster = { version, name };
    stopPostmasters(cluster);
    if (existsSync(configurationOf(cluster))) {
      try {
        execFileSync('pg_dropcluster', ['--stop', version, name], { stdio: 'ignore' });
      } catch {
        // Half made, or half removed: its directories go below.
      }
    }
    for (const each of existsSync(home(cluster)) ? readdirSync(home(cluster)) : [])
      if (each === name || each.startsWith(`${name}.`) || each.startsWith(`.lifeboat-claim-${name}`))
        remove(join(home(cluster), each));
    remove(configurationOf(cluster));
    const log = logOf(cluster);
    for (const each of existsSync(dirname(log)) ? readdirSync(dirname(log)) : [])
      if (each.includes(`-${name}.log`)) remove(join(dirname(log), each));
  }
  remove(listOf(lab));
}

/** Copies that are beside it may run, too; each postmaster says in its own directory which it is. */
function stopPostmasters(cluster: DebianCluster): void {
  for (const each of existsSync(home(cluster)) ? readdirSync(home(cluster)) : []) {
    if (each !== cluster.name && !each.startsWith(`${cluster.name}.`)) continue;
    const directory = join(home(cluster), each);
    if (!existsSync(join(directory, 'postmaster.pid'))) continue;
    try {
      execFileSync(
        'su',
        ['postgres', '-s', '/bin/sh', '-c', `${tool('pg_ctl')} -D ${directory} -m immediate -w stop`],
        {
          stdio: 'ignore',
        },
      );
    } catch {
      // It does not run.
    }
  }
}

const remove = (path: string): void => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
