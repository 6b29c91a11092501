import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { openLocation } from '../../activities/locations/open.js';
import type { Location } from '../../activities/locations/location.js';
import { defaultLimits } from '../../activities/locations/transfer.js';
import { destroyLab, makeLabDirectory } from '../../lab/cleanup.js';
import { labVariable } from '../../lab/processes.js';
import { startAzurite } from '../../lab/servers/azurite.js';
import { startFakeGcs } from '../../lab/servers/gcs.js';
import { startSshd } from '../../lab/servers/sshd.js';
import { startVersitygw } from '../../lab/servers/versitygw.js';
import { planSchema } from '../../plan/schema.js';

/** Locations of every kind over real servers, without the rest of a lab. */

export const kinds = ['directory', 's3', 'azure', 'gcs', 'sftp'] as const;
export type Kind = (typeof kinds)[number];

export interface Place {
  kind: Kind;
  /** What the plan says of it. A test may change it: another port, a wrong key. */
  plan: Record<string, unknown>;
  /** The port of its server; none for a directory. */
  port?: number;
  open(change?: Record<string, unknown>, stall?: number): Promise<Location>;
}

export interface Places {
  directory: string;
  env: NodeJS.ProcessEnv;
  start(kind: Kind): Promise<Place>;
  stop(): void;
}

export function makePlaces(): Places {
  const directory = makeLabDirectory();
  const env = { ...process.env, [labVariable]: directory };
  return {
    directory,
    env,
    async start(kind) {
      const at = { directory: join(directory, kind), env };
      const { plan, port } = await starters[kind](at);
      return {
        kind,
        plan,
        ...(port ? { port } : {}),
        open: (change = {}, stall) => open(kind, { ...plan, ...change }, stall),
      };
    },
    stop: () => destroyLab(directory),
  };
}

type Started = { plan: Record<string, unknown>; port?: number };

/** A value of the test that the plan refers to, as an agent would find it in its environment. */
export function secretFor(value: string): string {
  const name = `LIFEBOAT_TEST_${randomBytes(6).toString('hex').toUpperCase()}`;
  process.env[name] = value;
  return `env:${name}`;
}

const starters: Record<Kind, (at: { directory: string; env: NodeJS.ProcessEnv }) => Promise<Started>> = {
  directory({ directory }) {
    mkdirSync(directory, { recursive: true });
    return Promise.resolve({ plan: { directory } });
  },
  async s3(at) {
    const { endpoint, port, caFile, accessKeyId, secretAccessKey } = await startVersitygw({
      ...at,
      buckets: ['backups'],
    });
    const keys = { accessKeyId: secretFor(accessKeyId), secretAccessKey: secretFor(secretAccessKey) };
    return { port, plan: { bucket: 'backups', prefix: 'some/prefix', endpoint, pathStyle: true, caFile, ...keys } };
  },
  async azure(at) {
    const { account, key, endpoint, port, caFile } = await startAzurite({ ...at, containers: ['backups'] });
    return {
      port,
      plan: { account, container: 'backups', prefix: 'some/prefix', key: secretFor(key), endpoint, caFile },
    };
  },
  async gcs(at) {
    const { endpoint, port } = await startFakeGcs({ ...at, buckets: ['backups'] });
    return { port, plan: { bucket: 'backups', prefix: 'some/prefix', endpoint } };
  },
  async sftp(at) {
    const { host, port, user, root, keyFile, hostKey } = await startSshd(at);
    return { port, plan: { host, port, user, directory: root, privateKey: `file:${keyFile}`, hostKey } };
  },
};

function open(kind: Kind, of: Record<string, unknown>, stall = defaultLimits.stall): Promise<Location> {
  const location = kind === 'directory' ? of : { [kind]: of };
  const plan = planSchema.parse({
    system: 'shop',
    objectives: { rto: '1h', rpo: '15m' },
    hosts: { db1: { region: 'here' } },
    locations: { there: location },
    databases: {},
  });
  const context = { plan, planDirectory: '/', planDigest: '', host: 'db1', state: '' };
  return openLocation(context, 'there', { stall });
}

/** Bytes that look random, and are the same for the same size; in chunks, as a program writes them. */
export function someBytes(bytes: number, chunk = 64 * 1024): Readable {
  return Readable.from(chunks(bytes, chunk), { objectMode: false });
}

function* chunks(bytes: number, chunk: number): Generator<Buffer> {
  const block = createHash('sha512').update(String(bytes)).digest();
  const filled = Buffer.alloc(chunk, block);
  for (let left = bytes, n = 0; left > 0; left -= chunk, n += 1) {
    const one = Buffer.from(filled.subarray(0, Math.min(chunk, left)));
    if (one.length >= 4) one.writeUInt32LE(n);
    yield one;
  }
}

export async function digest(stream: AsyncIterable<unknown>): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Everything below a directory, files of whatever kind. */
export function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Gives so many bytes and then fails, as a program does that is killed. */
export function failingAfter(bytes: number, error: Error): Readable {
  return Readable.from(
    (async function* () {
      yield* someBytes(bytes) as AsyncIterable<Buffer>;
      throw error;
    })(),
    { objectMode: false },
  );
}

/** Gives so many bytes and then nothing more, and does not end. */
export function hangingAfter(bytes: number): { body: Readable; given: Promise<void> } {
  const { promise: given, resolve } = Promise.withResolvers<void>();
  const body = Readable.from(
    (async function* () {
      yield* someBytes(bytes) as AsyncIterable<Buffer>;
      resolve();
      await new Promise(() => undefined);
    })(),
    { objectMode: false },
  );
  return { body, given };
}
