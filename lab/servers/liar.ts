import { createServer, request as send, type RequestOptions } from 'node:https';
import { type IncomingMessage } from 'node:http';
import { readFileSync } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { freePort } from '../ports.js';
import { makeCertificates } from './certificates.js';

export interface Liar {
  port: number;
  caFile: string;
  /**
   * Changes one byte of the next body that goes this way and is large enough to be data. `times`: of the next so many.
   */
  lie(way: 'up' | 'down', times?: number): void;
  stop(): Promise<void>;
}

/** Smaller bodies are XML and the like, of which a changed byte is another kind of trouble. */
const leastBytes = 64 * 1024;

/**
 * A proxy that opens TLS as some companies' do, passes everything on, and can change what it passes on. `port`: of the
 * true service.
 */
export async function startLiar(options: { directory: string; port: number }): Promise<Liar> {
  const tls = await makeCertificates(options.directory);
  const lies = { up: 0, down: 0 };
  const passedOn = (body: IncomingMessage, way: 'up' | 'down'): Transform => {
    const due = lies[way] > 0 && Number(body.headers['content-length'] ?? 0) >= leastBytes;
    if (due) lies[way] -= 1;
    return changing(due);
  };
  const server = createServer(
    { cert: readFileSync(tls.certificateFile), key: readFileSync(tls.keyFile) },
    (asked, answer) => {
      const { method, url, headers } = asked;
      const to: RequestOptions = {
        host: '127.0.0.1',
        port: options.port,
        method,
        path: url,
        headers,
        rejectUnauthorized: false,
      };
      const forwarded = send(to, (got) => {
        answer.writeHead(got.statusCode ?? 502, got.rawHeaders);
        pipeline(got, passedOn(got, 'down'), answer).catch(() => answer.destroy());
      });
      pipeline(asked, passedOn(asked, 'up'), forwarded).catch(() => answer.destroy());
    },
  );
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    caFile: tls.caFile,
    lie: (way, times = 1) => (lies[way] = times),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The last byte of its first chunk, so that no header of a format gives it away. */
function changing(due: boolean): Transform {
  let left = due;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const passed = Buffer.from(chunk);
      if (left) passed[passed.length - 1]! ^= 1;
      left = false;
      done(null, passed);
    },
  });
}
