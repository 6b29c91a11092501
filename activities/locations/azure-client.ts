import type { Agent } from 'node:http';
import {
  BlobServiceClient,
  newPipeline,
  type RequestPolicyFactory,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';

/** A client of an account whose every connection is one of the agent's. `endpoint`: with the account at its end. */
export function azureService(
  account: string,
  key: string,
  endpoint: string | undefined,
  agent: Agent,
): BlobServiceClient {
  const pipeline = newPipeline(new StorageSharedKeyCredential(account, key), {
    retryOptions: { maxTries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 4000 },
  });
  const byAgent: RequestPolicyFactory = {
    create: (next) => ({
      sendRequest: (request) => {
        request.agent = agent;
        return next.sendRequest(request);
      },
    }),
  };
  pipeline.factories.push(byAgent);
  return new BlobServiceClient(endpoint ?? `https://${account}.blob.core.windows.net`, pipeline);
}
