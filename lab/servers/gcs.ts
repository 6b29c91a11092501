import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../ports.js';
import { tool } from '../tools.js';
import { serve, type ServerOptions } from './serve.js';

export interface FakeGcs {
  /** http://127.0.0.1:PORT */
  endpoint: string;
  port: number;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

export interface FakeGcsOptions extends ServerOptions {
  buckets?: string[];
  /**
   * The port that clients see, when a proxy stands before it: it names itself in the addresses of resumable uploads.
   */
  publicPort?: number;
}

/** fake-gcs-server, the emulator of Google Cloud Storage that most projects test with. It asks for no credentials. */
export async function startFakeGcs(options: FakeGcsOptions): Promise<FakeGcs> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${options.publicPort ?? port}`;
  const data = join(options.directory, 'data');
  // It takes directories for buckets.
  for (const bucket of options.buckets ?? []) mkdirSync(join(data, bucket), { recursive: true });
  mkdirSync(data, { recursive: true });
  const child = await serve('fake-gcs-server', options, port, tool('fake-gcs-server'), [
    ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-external-url', endpoint],
    ...['-backend', 'filesystem', '-filesystem-root', data, '-data', data, '-log-level', 'warn'],
  ]);
  return { endpoint, port, stop: () => child.stop(), kill9: () => child.kill9() };
}
