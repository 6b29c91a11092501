import type { BlockBlobClient, ContainerClient } from '@azure/storage-blob';
import { hash, randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { LocationPlan } from '../../plan/schema.js';
import { checkpoint } from '../checkpoint.js';
import { agentFor } from './agent.js';
import { azureService } from './azure-client.js';
import { type AzureWhere, cameChangedToAzure, explainAzure } from './azure-errors.js';
import type { Kept, Location } from './location.js';
import { byName, checkedName, checkedPrefix } from './names.js';
import { firstOf, inBlocks, partBytes, sendParts, sendWhole } from './parts.js';
import { bufferOf, readRanges } from './ranges.js';
import { cameChanged, cameShort, explaining, goneFrom } from './error-texts.js';
import { defaultLimits, isBeingSent, type Limits, sending } from './transfer.js';

type AzurePlan = NonNullable<LocationPlan['azure']>;

const sizes = partBytes({ least: 8 * 1024 * 1024, mostParts: 50_000 });
/** What the service gives a checksum of at most: "Get Blob" in its reference. */
const checkedBytes = 4 * 1024 * 1024;
/** Of each block, both ways: the client sends and compares none by itself. */
const checksumOf = (block: Buffer): Buffer => hash('md5', block, 'buffer');
/** Marks a blob that stands there only to drive out the blocks of an upload that failed. */
const discarded = 'lifeboatdiscarded';

/** A container of Azure Blob Storage. */
export function azureLocation(name: string, plan: AzurePlan, key: string, limits: Limits = defaultLimits): Location {
  const where: AzureWhere = { name, account: plan.account, container: plan.container };
  const root = plan.prefix ? `${plan.prefix}/` : '';
  const agent = agentFor(plan.endpoint, plan.caFile, limits.stall);
  const container = azureService(plan.account, key, plan.endpoint, agent).getContainerClient(plan.container);
  const blobOf = (of: string) => container.getBlockBlobClient(`${root}${checkedName(of)}`);
  const explained = explaining((error) => explainAzure(where, error));
  const gone = goneFrom(name, `container ${plan.container}`);

  async function find(of: string, signal?: AbortSignal): Promise<(Kept & { etag: string }) | undefined> {
    try {
      const found = await blobOf(of).getProperties(signal ? { abortSignal: signal } : {});
      if (found.metadata?.[discarded]) return undefined;
      return {
        name: of,
        bytes: found.contentLength ?? 0,
        modifiedAt: found.lastModified?.getTime() ?? 0,
        etag: found.etag ?? '',
      };
    } catch (error) {
      signal?.throwIfAborted();
      if ((error as { statusCode?: number }).statusCode !== 404) throw explainAzure(where, error);
      // It may be the container that is not there.
      await explained(container.getProperties());
      return undefined;
    }
  }

  return {
    name,
    async put(of, body, options) {
      const blob = blobOf(of);
      return sending({
        location: name,
        name: of,
        body,
        options,
        send: (metered, signal) => upload(blob, metered, options?.bytes, signal),
        undo: () => discard(blob),
        explain: (error) => Promise.resolve(explainAzure(where, error)),
      });
    },
    async get(of, { signal } = {}): Promise<Readable> {
      const found = await find(of, signal);
      if (!found) throw gone(of);
      return readRanges({
        bytes: found.bytes,
        blockBytes: checkedBytes,
        signal,
        short: cameShort(name, of),
        async fetch(from, to, abortSignal) {
          try {
            const same = {
              conditions: { ifMatch: found.etag },
              abortSignal,
              maxRetryRequests: 0,
              rangeGetContentMD5: true,
            };
            const { readableStreamBody, contentMD5 } = await blobOf(of).download(from, to - from + 1, same);
            const block = await bufferOf(readableStreamBody as Readable, to - from + 1, cameShort(name, of));
            if (contentMD5 && !checksumOf(block).equals(contentMD5)) throw cameChanged(name, of);
            return block;
          } catch (error) {
            const status = (error as { statusCode?: number }).statusCode;
            if (status === 404 || status === 412 || status === 416)
              throw gone(of, 'it was removed or replaced while it was read');
            throw explainAzure(where, error);
          }
        },
      });
    },
    async find(of) {
      const found = await find(of);
      return found && { name: of, bytes: found.bytes, modifiedAt: found.modifiedAt };
    },
    async list(prefix) {
      const kept: Kept[] = [];
      await explained(
        (async () => {
          const asked = { prefix: `${root}${checkedPrefix(prefix)}`, includeMetadata: true };
          for await (const { name: key, properties, metadata } of container.listBlobsFlat(asked)) {
            if (metadata?.[discarded]) continue;
            kept.push({
              name: key.slice(root.length),
              bytes: properties.contentLength ?? 0,
              modifiedAt: properties.lastModified.getTime(),
            });
          }
        })(),
      );
      return kept.sort(byName);
    },
    async remove(of) {
      await checkpoint('before a file is removed');
      try {
        await blobOf(of).delete({ deleteSnapshots: 'include' });
      } catch (error) {
        if ((error as { code?: string }).code !== 'BlobNotFound') throw explainAzure(where, error);
      }
      await checkpoint('after a file is removed');
    },
    removeUnfinished: (prefix) =>
      explained(
        (async () => {
          let removed = 0;
          for (const key of await unfinished(container, `${root}${checkedPrefix(prefix)}`)) {
            if (isBeingSent(name, key.slice(root.length))) continue;
            await discard(container.getBlockBlobClient(key));
            removed += 1;
          }
          return removed;
        })(),
      ),
    space: () => Promise.resolve(undefined),
    close() {
      agent.destroy();
      return Promise.resolve();
    },
  };
}

/** In blocks that become a blob by being committed, all at once. */
async function upload(
  blob: BlockBlobClient,
  body: Readable,
  expected: number | undefined,
  abortSignal: AbortSignal,
): Promise<void> {
  const { only, all } = await firstOf(inBlocks(body, sizes(expected)));
  if (only) {
    const checked = { abortSignal, blobHTTPHeaders: { blobContentMD5: checksumOf(only) } };
    await sendWhole(cameChangedToAzure, () => blob.upload(only, only.length, checked));
    return;
  }
  // Two uploads of one name must not take each other's blocks.
  const own = randomBytes(6).toString('hex');
  const ids: string[] = [];
  await sendParts(all, abortSignal, async (part, index, signal) => {
    const id = Buffer.from(`${own}-${String(index).padStart(6, '0')}`).toString('base64');
    ids[index] = id;
    const checked = { abortSignal: signal, transactionalContentMD5: checksumOf(part) };
    await sendWhole(cameChangedToAzure, () => blob.stageBlock(id, part, part.length, checked));
  });
  await blob.commitBlockList(ids, { abortSignal });
}

/**
 * Drives out the blocks of a failed upload, which would be kept, and paid for, for a week: Azure forgets them when a
 * blob of that name is written. Such a blob is empty, marked, and removed at once. When there is a blob of that name
 * its blocks stay, until it is next replaced.
 */
async function discard(blob: BlockBlobClient): Promise<void> {
  const marked = { metadata: { [discarded]: 'true' } };
  try {
    await blob.upload('', 0, { ...marked, conditions: { ifNoneMatch: '*' } });
  } catch (error) {
    const { statusCode } = error as { statusCode?: number };
    if (statusCode !== 409 && statusCode !== 412) throw error;
    // A whole one is there, or one marked by an upload that died here; or the service takes blocks alone for a blob, as
    // Azurite does.
    if (!(await blob.exists())) await blob.upload('', 0, marked);
  }
  try {
    const { metadata, etag } = await blob.getProperties();
    if (metadata?.[discarded]) await blob.delete({ conditions: { ifMatch: etag! } });
  } catch (error) {
    // Another request of ours, whose answer was lost, has removed it; or a whole one has come in its place.
    if (![404, 412].includes((error as { statusCode?: number }).statusCode ?? 0)) throw error;
  }
}

async function unfinished(container: ContainerClient, prefix: string): Promise<string[]> {
  const whole = new Set<string>();
  const all: string[] = [];
  for await (const { name, metadata } of container.listBlobsFlat({ prefix, includeMetadata: true }))
    if (!metadata?.[discarded]) whole.add(name);
  for await (const { name } of container.listBlobsFlat({ prefix, includeUncommitedBlobs: true }))
    if (!whole.has(name)) all.push(name);
  return all;
}
