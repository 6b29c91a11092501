import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { createLab, type Lab } from '../../lab/lab.js';
import { makeDirectory } from '../../lab/os-user.js';
import { freePort } from '../../lab/ports.js';
import { startAzurite } from '../../lab/servers/azurite.js';
import { startFakeGcs } from '../../lab/servers/gcs.js';
import { serve } from '../../lab/servers/serve.js';
import { startSshd } from '../../lab/servers/sshd.js';
import { startVersitygw } from '../../lab/servers/versitygw.js';
import { tool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import type { PlanFile } from '../../plan/schema.js';

/** One of examples/ as it stands, on a lab: only addresses, paths, ports and credentials are this machine's. */

type LocationFile = PlanFile['locations'][string];

export const exampleFile = (name: string): string => join(import.meta.dirname, '..', '..', 'examples', `${name}.yaml`);

export async function exampleLab(name: string): Promise<Lab> {
  const example = parse(readFileSync(exampleFile(name), 'utf8')) as PlanFile;
  const lab = await createLab({ system: example.system, service: false, fast: true, rows: 300 });
  const { directory, plan } = lab;
  const mine = structuredClone(plan);
  const secretNamed = secrets(lab);
  for (const key of Object.keys(plan)) delete (plan as Record<string, unknown>)[key];
  Object.assign(plan, example, { services: {}, notifications: {} });
  for (const [host, of] of Object.entries(plan.hosts)) {
    of.address = '127.0.0.1';
    if (of.scratch) of.scratch = makeDirectory(join(directory, `scratch-${host}`), 0o700);
  }
  const withWalG = Object.values(plan.databases).some(({ backups }) => backups.physical?.engine === 'wal-g');
  for (const [at, of] of Object.entries(plan.locations))
    plan.locations[at] = await locationHere(lab, at, of, secretNamed, withWalG);
  useDatabase(lab, mine, secretNamed);
  for (const of of Object.values(plan.files ?? {})) of.paths = of.paths.map((path) => makeFiles(directory, path));
  for (const of of Object.values(plan.redis ?? {})) of.port = await startRedis(lab);
  for (const of of Object.values(plan.code ?? {}))
    of.repositories = Object.fromEntries(
      Object.keys(of.repositories).map((one) => [one, makeRepository(join(directory, 'git', one))]),
    );
  writeFileSync(lab.planPath, stringify(plan));
  return lab;
}

/** Gives a value a name in the environment of the lab's agents. */
const secrets = (lab: Lab) => {
  let count = 0;
  return (value: string): string => {
    const variable = `EXAMPLE_SECRET_${(count += 1)}`;
    lab.env[variable] = value;
    lab.secrets.push(value);
    return `env:${variable}`;
  };
};

/** pgBackRest believes a certificate of a name only, not of an address. */
const named = (endpoint: string): string => endpoint.replace('127.0.0.1', 'localhost');

async function locationHere(
  lab: Lab,
  name: string,
  of: LocationFile,
  secretNamed: (value: string) => string,
  withWalG: boolean,
): Promise<LocationFile> {
  const server = { directory: join(lab.directory, `location-${name}`), env: lab.env };
  const encryption = of.encryption ? { encryption: secretNamed(`passphrase of ${name} ${lab.secrets[0]}`) } : {};
  if (of.directory) return { ...encryption, directory: makeDirectory(server.directory) };
  if (of.s3) {
    const { bucket, region } = of.s3;
    const s3 = await startVersitygw({ ...server, region: region ?? 'us-east-1', buckets: [bucket] });
    const keys = { accessKeyId: secretNamed(s3.accessKeyId), secretAccessKey: secretNamed(s3.secretAccessKey) };
    return {
      ...encryption,
      s3: { ...of.s3, endpoint: named(s3.endpoint), pathStyle: true, caFile: s3.caFile, ...keys },
    };
  }
  if (of.azure) {
    const azure = await startAzurite({ ...server, containers: [of.azure.container] });
    const { account, endpoint, caFile } = azure;
    return {
      ...encryption,
      azure: { ...of.azure, account, endpoint: named(endpoint), caFile, key: secretNamed(azure.key) },
    };
  }
  if (of.sftp) {
    const sshd = await startSshd(server);
    const { host, port, user, root, hostKey } = sshd;
    return { ...encryption, sftp: { host, port, user, hostKey, directory: root, privateKey: `file:${sshd.keyFile}` } };
  }
  // WAL-G's client of Google sends some requests to Google itself, whatever it is told: there is no emulator for it,
  // and the plan is run at S3.
  if (withWalG) {
    const { bucket, prefix } = of.gcs!;
    const s3 = await startVersitygw({ ...server, buckets: [bucket] });
    const keys = { accessKeyId: secretNamed(s3.accessKeyId), secretAccessKey: secretNamed(s3.secretAccessKey) };
    const at = { bucket, region: s3.region, endpoint: named(s3.endpoint), pathStyle: true, caFile: s3.caFile, ...keys };
    return { ...encryption, s3: { ...at, ...(prefix ? { prefix } : {}) } };
  }
  const gcs = await startFakeGcs({ ...server, buckets: [of.gcs!.bucket] });
  const { credentials: _none, ...rest } = of.gcs!;
  return { ...encryption, gcs: { ...rest, endpoint: gcs.endpoint } };
}

/** The lab's database takes the place of the example's; what the plan does with it stays. */
function useDatabase(lab: Lab, mine: PlanFile, secretNamed: (value: string) => string): void {
  const { main } = lab.plan.databases as { main: PlanFile['databases'][string] };
  const here = mine.databases['main']!.postgres;
  const { port, passwords, database } = lab.primary;
  const only = (value: unknown) => Object.values(value as Record<string, string>)[0]!;
  main.name = database;
  main.verify = { rows: { customers: {}, orders: { maxDrop: '20%' } }, queries: [] };
  main.postgres = main.postgres.url
    ? {
        primary: main.postgres.primary,
        url: secretNamed(
          `postgres://postgres:${passwords.superuser}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
        ),
      }
    : {
        primary: main.postgres.primary,
        dataDirectory: only(here.dataDirectory),
        port,
        socketDirectory: only(here.socketDirectory),
        user: here.user ?? 'postgres',
        ...(here.password ? { password: here.password } : {}),
      };
}

/**
 * A file of that name, or some files below a directory of that name: as the last part of its path has an extension or
 * not.
 */
function makeFiles(directory: string, path: string): string {
  const here = join(directory, 'example', path);
  const isFile = /\.[a-z]+$/.test(path);
  mkdirSync(isFile ? dirname(here) : here, { recursive: true });
  for (const file of isFile ? [here] : [join(here, 'first'), join(here, 'ünïcode and spaces.txt')])
    writeFileSync(file, `contents of ${path}\n`);
  return here;
}

async function startRedis(lab: Lab): Promise<number> {
  const port = await freePort();
  const options = { directory: join(lab.directory, 'redis'), env: lab.env };
  await serve('redis', options, port, tool('redis-server'), [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--appendonly',
    'yes',
  ]);
  const ask = (...args: string[]) =>
    execFileSync(tool('redis-cli'), ['-p', String(port), ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
  await until('Redis answers', () => ask('ping') === 'PONG', 60);
  ask('set', 'greeting', 'hello');
  return port;
}

function makeRepository(directory: string): string {
  mkdirSync(directory, { recursive: true });
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=lab', '-c', 'user.email=lab@example.com', ...args], {
      cwd: directory,
      stdio: 'pipe',
    });
  git('init', '-q', '-b', 'main');
  writeFileSync(join(directory, 'README'), 'code\n');
  git('add', '.');
  git('commit', '-q', '-m', 'first');
  return directory;
}
