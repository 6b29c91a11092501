import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { agentFor } from '../../activities/locations/agent.js';
import { azureService } from '../../activities/locations/azure-client.js';
import { freePort } from '../ports.js';
import { checkout } from '../root.js';
import { makeCertificates } from './certificates.js';
import { serve, type ServerOptions } from './serve.js';

export interface Azurite {
  account: string;
  /** The key of the account, in base64. */
  key: string;
  /** https://127.0.0.1:PORT/ACCOUNT: the account stands in the path. */
  endpoint: string;
  port: number;
  caFile: string;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

export interface AzuriteOptions extends ServerOptions {
  containers?: string[];
}

/** Microsoft's own emulator of Azure Blob Storage, with TLS by an authority of its own. */
export async function startAzurite(options: AzuriteOptions): Promise<Azurite> {
  const port = await freePort();
  const data = join(options.directory, 'data');
  mkdirSync(data, { recursive: true });
  const tls = await makeCertificates(join(options.directory, 'tls'));
  const account = 'lifeboatlab';
  const key = randomBytes(64).toString('base64');
  const env = { ...options.env, AZURITE_ACCOUNTS: `${account}:${key}` };
  const script = join(checkout, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js');
  const child = await serve('azurite', { ...options, env }, port, process.execPath, [
    script,
    ...[
      '--blobHost',
      '127.0.0.1',
      '--blobPort',
      String(port),
      '--location',
      data,
      '--cert',
      tls.certificateFile,
      '--key',
      tls.keyFile,
    ],
    // The newest client speaks a version of the API that is newer than the emulator.
    ...['--silent', '--skipApiVersionCheck', '--disableTelemetry', '--disableProductStyleUrl'],
  ]);
  const endpoint = `https://127.0.0.1:${port}/${account}`;
  const agent = agentFor(endpoint, tls.caFile, 30_000);
  const client = azureService(account, key, endpoint, agent);
  for (const container of options.containers ?? []) await client.getContainerClient(container).createIfNotExists();
  agent.destroy();
  return { account, key, endpoint, port, caFile: tls.caFile, stop: () => child.stop(), kill9: () => child.kill9() };
}
