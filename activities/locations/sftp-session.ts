import SftpClient from 'ssh2-sftp-client';
import { StalledError } from './agent.js';
import { explainSftp, otherHostKey, type SftpWhere } from './sftp-errors.js';

/** The client of the protocol itself, which ssh2-sftp-client connects: its own calls transfer one piece at a time. */
export type Wire = Awaited<ReturnType<SftpClient['connect']>>;
type Answer<T> = (error: Error | null | undefined, value: T) => void;

export interface SftpSession {
  /**
   * One request. Fails with the protocol's own error; connects first when there is no connection, or the last one
   * broke.
   */
  ask<T>(request: (wire: Wire, answer: Answer<T>) => void): Promise<T>;
  close(): Promise<void>;
}

export interface SftpAccess {
  where: SftpWhere;
  privateKey: string;
  /** `ssh-ed25519 AAAA...` */
  hostKey: string;
  stall: number;
}

/**
 * A connection that is made when it is needed, and made again when it broke. Requests that no answer comes to for too
 * long end it.
 */
export function sftpSession(access: SftpAccess): SftpSession {
  let current: Promise<Connection> | undefined;

  async function connection(): Promise<Connection> {
    const known = await current?.catch(() => undefined);
    if (known?.broken()) current = undefined;
    current ??= connect(access);
    const made = current;
    return made.catch((error: unknown) => {
      if (current === made) current = undefined;
      throw error;
    });
  }

  return {
    ask: async (request) => (await connection()).ask(request),
    async close() {
      const known = await current?.catch(() => undefined);
      current = undefined;
      known?.end();
    },
  };
}

interface Connection {
  ask<T>(request: (wire: Wire, answer: Answer<T>) => void): Promise<T>;
  broken(): boolean;
  end(): void;
}

async function connect({ where, privateKey, hostKey, stall }: SftpAccess): Promise<Connection> {
  const [type, blob] = hostKey.split(/\s+/) as [string, string];
  const pinned = Buffer.from(blob, 'base64');
  const pending = new Set<(error: Error) => void>();
  let failed: Error | undefined;
  const fail = (error: Error): void => {
    failed ??= error;
    for (const reject of pending) reject(failed);
    pending.clear();
  };
  const quiet = () => undefined;
  const client = new SftpClient(where.name, { error: quiet, end: quiet, close: quiet });
  client.on('error', (error: Error) => fail(error));
  client.on('close', () => fail(new Error('the connection was closed')));
  let otherKey = false;
  const wire = await client
    .connect({
      host: where.host,
      port: where.port,
      username: where.user,
      privateKey,
      readyTimeout: Math.min(20_000, stall),
      // The server may have several keys: it must show the one that is known.
      algorithms: {
        serverHostKey: (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'] : [type]) as never,
      },
      hostVerifier: (key: Buffer) => {
        otherKey = !key.equals(pinned);
        return !otherKey;
      },
    })
    .catch((error: unknown) => {
      destroy(client);
      // A server without a key of that type does not get so far as to show one.
      throw otherKey || /no matching host key format/i.test((error as Error).message)
        ? otherHostKey(where)
        : explainSftp(where, error);
    });
  // Many small requests: none of them must wait for the answer to the last one.
  inner(client).setNoDelay(true);
  const end = () => {
    fail(new Error('the connection was closed'));
    destroy(client);
  };
  // Runs only while an answer is owed, and anew with each one that comes.
  let silence: NodeJS.Timeout | undefined;
  const stalled = () => {
    fail(new StalledError(stall));
    destroy(client);
  };
  return {
    broken: () => failed !== undefined,
    end,
    ask: <T>(request: (wire: Wire, answer: Answer<T>) => void) =>
      new Promise<T>((resolve, reject) => {
        if (failed) return reject(failed);
        pending.add(reject);
        silence ??= setTimeout(stalled, stall);
        const settle = () => {
          pending.delete(reject);
          silence?.refresh();
          if (pending.size > 0) return;
          clearTimeout(silence);
          silence = undefined;
        };
        const answer: Answer<T> = (error, value) => {
          settle();
          if (error) reject(error);
          else resolve(value);
        };
        try {
          request(wire, answer);
        } catch (error) {
          settle();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      }),
  };
}

/** At once: a polite end waits for an answer that may never come. */
const destroy = (client: SftpClient): void => inner(client).destroy();

/** The client of ssh2 that it wraps. */
const inner = (client: SftpClient) =>
  (client as unknown as { client: { destroy(): void; setNoDelay(on: boolean): void } }).client;
