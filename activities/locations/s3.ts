import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  type MultipartUpload,
  paginateListObjectsV2,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import type { Agent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import type { LocationPlan } from '../../plan/schema.js';
import { checkpoint } from '../checkpoint.js';
import { agentFor } from './agent.js';
import type { Kept, Location } from './location.js';
import { byName, checkedName, checkedPrefix } from './names.js';
import { bufferOf, readRanges } from './ranges.js';
import { explainS3, type S3Where } from './s3-errors.js';
import { upload } from './s3-upload.js';
import { cameShort, explaining, goneFrom } from './error-texts.js';
import { defaultLimits, isBeingSent, type Limits, sending } from './transfer.js';

type S3Plan = NonNullable<LocationPlan['s3']>;

export interface S3Keys {
  accessKeyId: string;
  secretAccessKey: string;
}

/**
 * A bucket of Amazon S3, or of what speaks its language. Without keys, those of the machine: environment, profile,
 * role.
 */
export function s3Location(
  name: string,
  plan: S3Plan,
  keys: S3Keys | undefined,
  limits: Limits = defaultLimits,
): Location {
  const { bucket: Bucket, endpoint } = plan;
  const where: S3Where = { name, bucket: Bucket, endpoint };
  const root = plan.prefix ? `${plan.prefix}/` : '';
  const keyOf = (of: string) => `${root}${checkedName(of)}`;
  const agent = agentFor(endpoint, plan.caFile, limits.stall);
  const client = new S3Client(configuration(plan, keys, agent));

  const explained = explaining((error) => explainS3(where, error));

  async function head(of: string, signal?: AbortSignal): Promise<(Kept & { etag: string }) | undefined> {
    try {
      const found = await client.send(
        new HeadObjectCommand({ Bucket, Key: keyOf(of) }),
        signal ? { abortSignal: signal } : {},
      );
      return {
        name: of,
        bytes: found.ContentLength ?? 0,
        modifiedAt: found.LastModified?.getTime() ?? 0,
        etag: found.ETag ?? '',
      };
    } catch (error) {
      signal?.throwIfAborted();
      if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode !== 404)
        throw explainS3(where, error);
      // The answer has no text: it may be the bucket that is not there.
      await list(of, 1);
      return undefined;
    }
  }

  async function list(prefix: string, most?: number): Promise<Kept[]> {
    const kept: Kept[] = [];
    const asked = { Bucket, Prefix: `${root}${checkedPrefix(prefix)}`, ...(most ? { MaxKeys: most } : {}) };
    await explained(
      (async () => {
        for await (const page of paginateListObjectsV2({ client }, asked)) {
          for (const { Key, Size, LastModified } of page.Contents ?? []) {
            // A key that ends with a slash is how consoles show a folder.
            if (Key!.endsWith('/')) continue;
            kept.push({ name: Key!.slice(root.length), bytes: Size ?? 0, modifiedAt: LastModified?.getTime() ?? 0 });
          }
          if (most) break;
        }
      })(),
    );
    return kept.sort(byName);
  }

  async function get(of: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Readable> {
    const found = await head(of, signal);
    if (!found) throw gone(of);
    return readRanges({
      bytes: found.bytes,
      signal,
      short: cameShort(name, of),
      async fetch(from, to, abortSignal) {
        try {
          const range = { Range: `bytes=${from}-${to}`, IfMatch: found.etag };
          const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: keyOf(of), ...range }), {
            abortSignal,
          });
          return await bufferOf(Body as Readable, to - from + 1, cameShort(name, of));
        } catch (error) {
          const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
          if (status === 404 || status === 412 || status === 416)
            throw gone(of, 'it was removed or replaced while it was read');
          throw explainS3(where, error);
        }
      },
    });
  }

  const gone = goneFrom(name, `bucket ${Bucket}`);

  return {
    name,
    put: async (of, body, options) =>
      sending({
        location: name,
        name: of,
        body,
        options,
        send: (metered, signal) => upload(client, { Bucket, Key: keyOf(of) }, metered, options?.bytes, signal),
        explain: (error) => Promise.resolve(explainS3(where, error)),
      }),
    get,
    async find(of) {
      const found = await head(of);
      return found && { name: of, bytes: found.bytes, modifiedAt: found.modifiedAt };
    },
    list: (prefix) => list(prefix),
    async remove(of) {
      await checkpoint('before a file is removed');
      await explained(client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(of) })));
      await checkpoint('after a file is removed');
    },
    async removeUnfinished(prefix) {
      let removed = 0;
      await explained(
        (async () => {
          const asked = { Bucket, Prefix: `${root}${checkedPrefix(prefix)}` };
          for await (const { Key, UploadId } of unfinished(client, asked)) {
            if (isBeingSent(name, Key!.slice(root.length))) continue;
            await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
            removed += 1;
          }
        })(),
      );
      return removed;
    },
    space: () => Promise.resolve(undefined),
    close() {
      client.destroy();
      agent.destroy();
      return Promise.resolve();
    },
  };
}

/** Uploads that were begun and not ended. The client has no pages for them. */
async function* unfinished(
  client: S3Client,
  asked: { Bucket: string; Prefix: string },
): AsyncGenerator<MultipartUpload> {
  for (let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {}; from;) {
    const page: ListMultipartUploadsCommandOutput = await client.send(
      new ListMultipartUploadsCommand({ ...asked, ...from }),
    );
    yield* page.Uploads ?? [];
    from = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined;
  }
}

function configuration(plan: S3Plan, keys: S3Keys | undefined, agent: Agent): S3ClientConfig {
  return {
    region: plan.region,
    forcePathStyle: plan.pathStyle,
    ...(plan.endpoint ? { endpoint: plan.endpoint } : {}),
    ...(keys ? { credentials: keys } : {}),
    // Each request's body is signed with its digest. The newer checksums of AWS are not known to every other service.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 3,
    requestHandler: {
      ...(agent instanceof HttpsAgent ? { httpsAgent: agent } : { httpAgent: agent }),
      connectionTimeout: 10_000,
    },
  };
}
