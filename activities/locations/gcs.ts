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
import { readRanges } from './ranges.js';
import { cameShort, explaining, goneFrom } from './error-texts.js';
import { defaultLimits, type Limits, sending } from './transfer.js';

type GcsPlan = NonNullable<LocationPlan['gcs']>;

/** What one request of a resumable upload sends; so much is in memory. */
const chunkSize = 8 * 1024 * 1024;

/**
 * A bucket of Google Cloud Storage. `credentials`: the JSON key of a service account; without one, those of the
 * machine.
 */
export function gcsLocation(
  name: string,
  plan: GcsPlan,
  credentials: string | undefined,
  limits: Limits = defaultLimits,
): Location {
  const where: GcsWhere = { name, bucket: plan.bucket };
  const root = plan.prefix ? `${plan.prefix}/` : '';
  const storage = clientOf(name, plan, credentials);
  const bucket = storage.bucket(plan.bucket);
  const fileOf = (of: string) => bucket.file(`${root}${checkedName(of)}`);
  const explained = explaining((error) => explainGcs(where, error));
  const gone = goneFrom(name, `bucket ${plan.bucket}`);

  async function find(of: string): Promise<(Kept & { generation: number }) | undefined> {
    const file = fileOf(of);
    try {
      const [{ size, updated, generation }] = await file.getMetadata();
      return {
        name: of,
        bytes: Number(size ?? 0),
        modifiedAt: Date.parse(updated ?? ''),
        generation: Number(generation ?? 0),
      };
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
          const target = file.createWriteStream({
            resumable: true,
            chunkSize,
            contentType: 'application/octet-stream',
          });
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
        short: cameShort(name, of),
        async fetch(from, to, abort) {
          try {
            return await read(
              storage,
              plan,
              `${root}${of}`,
              { from, to, generation: found.generation },
              limits.stall,
              abort,
            );
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

/**
 * Reads a block by a plain request: a stream of their client that is destroyed before its answer has come lets an error
 * go that nobody can catch, which would end this process.
 */
async function read(
  storage: Storage,
  plan: GcsPlan,
  key: string,
  range: Range,
  stall: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const silent = new AbortController();
  const silence = setTimeout(() => silent.abort(new StalledError(stall)), stall);
  try {
    const own = plan.credentials !== undefined || plan.endpoint === undefined;
    const headers = own ? await storage.authClient.getRequestHeaders() : new Headers();
    headers.set('range', `bytes=${range.from}-${range.to}`);
    const path = `/storage/v1/b/${encodeURIComponent(plan.bucket)}/o/${encodeURIComponent(key)}`;
    const response = await fetch(`${storage.apiEndpoint}${path}?alt=media&generation=${range.generation}`, {
      headers,
      signal: AbortSignal.any([signal, silent.signal]),
    });
    if (!response.ok || !response.body) throw Object.assign(new Error('refused'), { code: response.status });
    const parts: Uint8Array[] = [];
    for await (const part of response.body as AsyncIterable<Uint8Array>) {
      silence.refresh();
      parts.push(part);
    }
    return Buffer.concat(parts);
  } catch (error) {
    // `fetch failed`, and why.
    throw error instanceof TypeError ? (error.cause ?? new Error('broken off')) : error;
  } finally {
    clearTimeout(silence);
  }
}

interface Range {
  from: number;
  to: number;
  /** The very version that was found. */
  generation: number;
}
