import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { firstOf, inBlocks, partBytes, sendParts, sendWhole } from './parts.js';
import { cameChangedToS3 } from './s3-errors.js';

/**
 * A multipart upload. By hand, and not by @aws-sdk/lib-storage: that one returns from an abort while parts are still on
 * their way (they then stay, and cost, for ever) and does not cancel a small object at all.
 */

const sizes = partBytes({ least: 5 * 1024 * 1024, mostParts: 10_000 });

export async function upload(
  client: S3Client,
  to: { Bucket: string; Key: string },
  body: AsyncIterable<Uint8Array>,
  expected: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const parts = inBlocks(body, sizes(expected));
  const { only, all } = await firstOf(parts);
  const send = { abortSignal: signal };
  if (only) {
    await sendWhole(cameChangedToS3, () => client.send(new PutObjectCommand({ ...to, Body: only }), send));
    return;
  }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(to), send);
  const upload = { ...to, UploadId };
  const sent: { PartNumber: number; ETag: string }[] = [];
  let bytes = 0;
  try {
    await sendParts(all, signal, async (Body, index, abortSignal) => {
      const PartNumber = index + 1;
      bytes += Body.length;
      const sending = () => client.send(new UploadPartCommand({ ...upload, PartNumber, Body }), { abortSignal });
      const { ETag } = await sendWhole(cameChangedToS3, sending);
      sent.push({ PartNumber, ETag: ETag! });
    });
    sent.sort((a, b) => a.PartNumber - b.PartNumber);
    await complete(client, upload, sent, bytes, signal);
  } catch (error) {
    await client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
    throw error;
  }
}

async function complete(
  client: S3Client,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  Parts: { PartNumber: number; ETag: string }[],
  bytes: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }), {
      abortSignal: signal,
    });
  } catch (error) {
    // The client tried again after its answer got lost: then it is there, and the upload is not.
    if ((error as Error).name !== 'NoSuchUpload') throw error;
    const { Bucket, Key } = upload;
    const { ContentLength, ETag } = await client.send(new HeadObjectCommand({ Bucket, Key }), { abortSignal: signal });
    if (ContentLength !== bytes || !ETag?.includes(`-${Parts.length}`)) throw error;
  }
}
