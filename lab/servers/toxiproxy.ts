import { freePort } from '../ports.js';
import { tool } from '../tools.js';
import { serve, type ServerOptions } from './serve.js';

/**
 * What a proxy does to the bytes; the attributes are in milliseconds, kB/s and bytes.
 * https://github.com/Shopify/toxiproxy#toxics
 */
export type Toxic =
  | { type: 'latency'; attributes: { latency: number; jitter?: number } }
  | { type: 'bandwidth'; attributes: { rate: number } }
  | { type: 'slow_close'; attributes: { delay: number } }
  /** Nothing comes through, and after so long (0: never) the connection is closed. */
  | { type: 'timeout'; attributes: { timeout: number } }
  | { type: 'reset_peer'; attributes: { timeout: number } }
  | { type: 'limit_data'; attributes: { bytes: number } };

export interface Proxy {
  /** On 127.0.0.1. */
  port: number;
  /** Adds one in that direction (upstream: towards the server). Returns what takes it away again. */
  add(toxic: Toxic, stream?: 'upstream' | 'downstream'): Promise<() => Promise<void>>;
  /** Takes all of them away. */
  reset(): Promise<void>;
  /** Refuses connections, and cuts those that there are; or lets them come again. */
  enable(enabled: boolean): Promise<void>;
}

export interface Toxiproxy {
  /** A proxy before a port on 127.0.0.1. */
  proxy(upstreamPort: number, port?: number): Promise<Proxy>;
  stop(): Promise<void>;
}

export async function startToxiproxy(options: ServerOptions): Promise<Toxiproxy> {
  const port = await freePort();
  const child = await serve('toxiproxy', options, port, tool('toxiproxy-server'), [
    '-host',
    '127.0.0.1',
    '-port',
    String(port),
  ]);
  const call = async (method: string, path: string, body?: unknown): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const said = await response.text();
    if (!response.ok) throw new Error(`toxiproxy answers ${response.status} to ${method} ${path}: ${said}`);
  };
  let names = 0;
  return {
    async proxy(upstreamPort, listenPort) {
      const own = listenPort ?? (await freePort());
      const name = `proxy-${own}`;
      await call('POST', '/proxies', {
        name,
        listen: `127.0.0.1:${own}`,
        upstream: `127.0.0.1:${upstreamPort}`,
        enabled: true,
      });
      const toxics = new Set<string>();
      const remove = async (toxic: string): Promise<void> => {
        if (toxics.delete(toxic)) await call('DELETE', `/proxies/${name}/toxics/${toxic}`);
      };
      return {
        port: own,
        async add({ type, attributes }, stream = 'upstream') {
          const toxic = `toxic-${(names += 1)}`;
          await call('POST', `/proxies/${name}/toxics`, { name: toxic, type, stream, attributes });
          toxics.add(toxic);
          return () => remove(toxic);
        },
        async reset() {
          for (const toxic of toxics) await remove(toxic);
        },
        enable: (enabled) => call('POST', `/proxies/${name}`, { enabled }),
      };
    },
    stop: () => child.stop(),
  };
}
