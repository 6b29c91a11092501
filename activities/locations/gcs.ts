import { IdempotencyStrategy, Storage } from '@google-cloud/storage';
import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { LocationPlan } from '../../plan/schema.js';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { StalledError } from './agent.js';
import { explainGcs, type GcsWhere, statusOf } from './gcs-errors.js';
import type { Kept, Location } from './location.js';
import { byName, checkedName, checkedPrefix } from './names.js';
import { bufferOf, readRanges } from './ranges.js';
import { defaultLimits, type Limits, sending } from './transfer.js';

type GcsPlan = NonNullable<LocationPlan['gcs']>;

/** What one request of a resumable upload sends; so much is in memory. */
const chunkSize = 8 * 1024 * 1024;

/** A bucket of Google Cloud Storage. `credentials`: the JSON key of a service account; without one, those of the machine. */
export function gcsLocation(name: string, plan: GcsPlan, credentials: string | undefined, limits: Limits = defaultLimits): Location {
  const where: GcsWhere = { name, bucket: plan.bucket };
  const root = plan.prefix ? `${plan.prefix}/` : '';
  const bucket = clientOf(name, plan, credentials).bucket(plan.bucket);
  const fileOf = (of: string, generation?: number) => bucket.file(`${root}${checkedName(of)}`, generation ? { generation } : {});
  const explained = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw explainGcs(where, error);
    }
  };
  const gone = (of: string, why = 'there is nothing of that name') =>
    failure(
      'BackupDamaged',
      `location ${name}: ${of} cannot be read: ${why}`,
      `Somebody removed or changed it in bucket ${plan.bucket}; use another backup.`,
      { location: name },
    );

  async function find(of: string): Promise<(Kept & { generation: number }) | undefined> {
    const file = fileOf(of);
    try {
      const [{ size, updated, generation }] = await file.getMetadata();
      return { name: of, bytes: Number(size ?? 0), modifiedAt: Date.parse(updated ?? ''), generation: Number(generation ?? 0) };
    } catch (error) {
      if (statusOf(error) !== 404) throw explainGcs(where, error);
      // It may be the bucket that is not there.
      await explained(bucket.getFiles({ prefix: `${root}${of}`, maxResults: 1, autoPaginate: false }));
      return undefined;
    }
  }

  return {
    name,
    async put(of, body, options) {
      const file = fileOf(of);
      let session: string | undefined;
      return sending({
        location: name,
        name: of,
        body,
        options,
        async send(metered, signal) {
          const target = file.createWriteStream({ resumable: true, chunkSize, contentType: 'application/octet-stream' });
          target.on('uri', (uri: string) => (session = uri));
          const watch = watchStall(metered, target, limits.stall);
          try {
            await pipeline(metered, target, { signal });
          } finally {
            clearInterval(watch);
          }
        },
        // What was not finished never shows; the session is ended so that its bytes go at once and not after a week.
        undo: async () => {
          if (session) await fetch(session, { method: 'DELETE', signal: AbortSignal.timeout(5000) });
        },
        explain: (error) => Promise.resolve(explainGcs(where, error)),
      });
    },
    async get(of, { signal } = {}): Promise<Readable> {
      const found = await find(of);
      if (!found) throw gone(of);
      return readRanges({
        bytes: found.bytes,
        signal,
        short: (got, wanted) =>
          failure('LocationUnreachable', `location ${name}: ${of} came short: ${got} of ${wanted} bytes`, 'Try again.', { location: name }),
        async fetch(start, end, abort) {
          try {
            return await read(fileOf(of, found.generation).createReadStream({ start, end, validation: false }), limits.stall, abort);
          } catch (error) {
            if (statusOf(error) === 404) throw gone(of, 'it was removed or replaced while it was read');
            throw explainGcs(where, error);
          }
        },
      });
    },
    async find(of) {
      const found = await find(of);
      return found && { name: of, bytes: found.bytes, modifiedAt: found.modifiedAt };
    },
    async list(prefix) {
      const [files] = await explained(bucket.getFiles({ prefix: `${root}${checkedPrefix(prefix)}` }));
      return files
        .filter((file) => !file.name.endsWith('/'))
        .map(({ name: key, metadata }) => ({
          name: key.slice(root.length),
          bytes: Number(metadata.size ?? 0),
          modifiedAt: Date.parse(metadata.updated ?? ''),
        }))
        .sort(byName);
    },
    async remove(of) {
      await checkpoint('before a file is removed');
      await explained(fileOf(of).delete({ ignoreNotFound: true }));
      await checkpoint('after a file is removed');
    },
    /** Sessions cannot be listed, and are forgotten within a week; nothing is paid for them. */
    removeUnfinished: () => Promise.resolve(0),
    space: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  };
}

function clientOf(name: string, plan: GcsPlan, credentials: string | undefined): Storage {
  // Their client takes no authority of ours: this process trusts it from now on, wherever it connects to.
  if (plan.caFile) setDefaultCACertificates([...getCACertificates('default'), readFileSync(plan.caFile, 'utf8')]);
  return new Storage({
    // A service that is not Google's may want no credentials at all.
    ...(plan.endpoint ? { apiEndpoint: plan.endpoint, useAuthWithCustomEndpoint: credentials !== undefined } : {}),
    ...(credentials ? { credentials: parsed(name, credentials) } : {}),
    timeout: 60_000,
    retryOptions: { maxRetries: 3, totalTimeout: 60, idempotencyStrategy: IdempotencyStrategy.RetryAlways },
  });
}

function parsed(name: string, credentials: string): { client_email: string; private_key: string } {
  try {
    return JSON.parse(credentials) as { client_email: string; private_key: string };
  } catch {
    // The text is not repeated: it is the secret.
    throw failure(
      'LocationRefused',
      `location ${name}: its credentials are no JSON`,
      'Give the JSON key of a service account, as Google lets it be downloaded.',
      { location: name },
    );
  }
}

/** Ends an upload that has bytes to send and moves none. */
function watchStall(from: Readable, to: Writable, stall: number): NodeJS.Timeout {
  let moved = Date.now();
  const move = () => (moved = Date.now());
  from.on('data', move);
  to.on('progress', move);
  return setInterval(() => {
    const waits = to.writableNeedDrain || from.readableEnded;
    if (!waits) move();
    else if (Date.now() - moved > stall) to.destroy(new StalledError(stall));
  }, stall / 10);
}

async function read(stream: Readable, stall: number, signal: AbortSignal): Promise<Buffer> {
  const silence = setTimeout(() => stream.destroy(new StalledError(stall)), stall);
  const end = () => stream.destroy(signal.reason as Error);
  signal.addEventListener('abort', end);
  try {
    stream.on('data', () => silence.refresh());
    return await bufferOf(stream);
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', end);
  }
}
