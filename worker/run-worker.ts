import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import {
  DefaultLogger,
  type LogEntry,
  type NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { CannotStart } from './cannot-start.js';
import { connectionSettings, connectPatiently } from './connect.js';
import type { Say } from './log.js';
import { metricsAddress, metricsOptions } from './metrics.js';

/** Where the prebuilt workflow bundle lies: `npm install` makes it. */
export function workflowBundle(): { codePath: string } {
  const places = ['../workflow-bundle.js', '../dist/workflow-bundle.js'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const codePath = places.find((path) => existsSync(path));
  if (!codePath) throw new CannotStart('The workflow bundle is not built.', 'Build it: npm install');
  return { codePath };
}

/** Aborts at the first SIGTERM or SIGINT, for a graceful shut-down. The second one ends the process as usual. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

export interface RunOptions {
  /** `control worker` or `agent of db1`, as Temporal's own UI shows it. */
  what: string;
  say: Say;
  signal: AbortSignal;
  /** What this worker polls and does. Called again after a connection was lost for good. */
  worker: (connection: NativeConnection) => Promise<Omit<WorkerOptions, 'connection' | 'namespace'>>;
  ready?: (connection: NativeConnection) => void | Promise<void>;
}

/** Runs a worker until the signal. A Temporal that goes away is waited for; what runs meanwhile goes on. */
export async function runWorker({ what, say, signal, worker: options, ready }: RunOptions): Promise<void> {
  // A worker is idle most of its life, beside a database that needs the memory: V8 collects early instead of letting
  // its heaps grow.
  setFlagsFromString('--optimize-for-size');
  const runtime = (measured: ReturnType<typeof metricsOptions>) =>
    Runtime.install({
      logger: new DefaultLogger('WARN', quietLog(say)),
      shutdownSignals: [],
      telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} }, ...measured },
    });
  const metrics = metricsOptions();
  try {
    runtime(metrics);
  } catch (error) {
    if (!metrics.metrics) throw error;
    // A database is protected all the same.
    say(`no metrics: ${(error as Error).message} (LIFEBOAT_METRICS=${metricsAddress()})`, 'error');
    runtime({});
  }
  const { namespace, address } = connectionSettings();
  const told = () => signal.aborted;
  while (!told()) {
    const connection = await connectPatiently(signal, say);
    if (!connection) return;
    try {
      const worker = await Worker.create({
        connection,
        namespace,
        identity: `${what} (${process.pid}@${hostname()})`,
        shutdownGraceTime: '10 seconds',
        shutdownForceTime: '20 seconds',
        ...(await options(connection)),
      });
      const stop = () => worker.shutdown();
      signal.addEventListener('abort', stop, { once: true });
      say(`ready (Temporal at ${address}, namespace ${namespace})`);
      await ready?.(connection);
      if (told()) stop();
      await worker.run();
      signal.removeEventListener('abort', stop);
    } catch (error) {
      if (told()) break;
      say(`stopped: ${(error as Error).message.split('\n')[0]}. Starting again in 2 s.`, 'error');
      await new Promise((resolve) => setTimeout(resolve, 2000));
    } finally {
      await connection.close().catch(() => undefined);
    }
  }
  say('shut down');
}

/** The SDK logs every failed poll while Temporal is away; once is enough for a person. */
function quietLog(say: Say) {
  let last = '';
  let lastAt = 0;
  return ({ level, message, meta }: LogEntry) => {
    // An Error from the SDK's own code, a text from its native part.
    const error = meta?.['error'] as unknown;
    const why = error instanceof Error ? error.message : typeof error === 'string' ? error : '';
    const line = `${level.toLowerCase()}: ${message.split('\n')[0]}${why === '' ? '' : `: ${why.split('\n')[0]}`}`;
    if (line === last && Date.now() - lastAt < 60_000) return;
    last = line;
    lastAt = Date.now();
    say(line, level === 'ERROR' ? 'error' : 'warning');
  };
}
