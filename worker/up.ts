import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { networkInterfaces, hostname } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'node:net';
import { hostAddress, hostsOf } from '../plan/access.js';
import { searchAttributeOptions } from '../vocabulary/search-attributes.js';
import type { LoadedPlan } from '../plan/load.js';
import { stateRoot } from '../activities/context.js';
import { connectionSettings } from './connect.js';
import { findTemporal } from './find-temporal.js';
import { startOnLeash } from './leash.js';
import { logOf } from './log.js';
import { metricsAddress, metricsOf } from './metrics.js';

export interface UpOptions {
  host?: string[];
  listen: string;
  uiPort?: number;
  signal: AbortSignal;
}

/**
 * Everything on one machine, each part a process of its own: what dies is started again, and nothing is lost, since
 * Temporal's data is in a file. The parts do not outlive this process: when it is killed, so are they, and the next one
 * starts them anew. A Temporal that answers already is used as it is. Returns when the signal came and everything was
 * shut down.
 */
export async function runUp({ plan, path }: LoadedPlan, { host, listen, uiPort, signal }: UpOptions): Promise<void> {
  const { address } = connectionSettings();
  const [, port = '7233'] = /:(\d+)$/.exec(address) ?? [];
  const ui = uiPort ?? Number(port) + 1000;
  const hosts = host ?? hostsOf(plan).filter((name) => isHere(hostAddress(plan, name)));
  const say = logOf('up', { system: plan.system });
  const parts: Part[] = [];
  const keep = (name: string, command: string, args: string[], env: NodeJS.ProcessEnv = process.env) =>
    parts.push(keepRunning({ name, command, args, env, say, signal }));

  if (await connects(address)) say(`Temporal answers at ${address}: using it`);
  else {
    const data = join(stateRoot(), plan.system, 'temporal');
    mkdirSync(data, { recursive: true });
    keep('Temporal', await findTemporal(), [
      ...[
        'server',
        'start-dev',
        '--ip',
        listen,
        '--ui-ip',
        '127.0.0.1',
        '--port',
        port,
        '--ui-port',
        String(ui),
        '--db-filename',
        join(data, 'temporal.db'),
        '--log-level',
        'never',
      ],
      ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=1'],
      ...searchAttributeOptions,
    ]);
    while (!signal.aborted && !(await connects(address))) await new Promise((resolve) => setTimeout(resolve, 200));
    say(`Temporal listens at ${address}, its own UI at http://127.0.0.1:${ui}, its data is in ${data}`);
  }
  const env = { ...process.env, LIFEBOAT_TEMPORAL_UI: process.env['LIFEBOAT_TEMPORAL_UI'] ?? `http://127.0.0.1:${ui}` };
  const cli = process.argv[1]!;
  keep('control worker', process.execPath, [cli, '--plan', path, 'worker'], env);
  hosts.forEach((name, at) =>
    keep(`agent of ${name}`, process.execPath, [cli, '--plan', path, 'agent', '--host', name], {
      ...env,
      ...metricsOf(at + 1),
    }),
  );
  const metrics = metricsAddress();
  if (metrics)
    say(
      `metrics: the control worker at ${metrics}, agents at the ports that follow, in this order: ${hosts.join(', ')}`,
    );
  if (hosts.length === 0)
    say(
      `no host of the plan is this machine; run agents where they are, or name them: lifeboat up --host ${hostsOf(plan)[0] ?? 'NAME'}`,
    );
  await new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  // Workers first: Temporal is what they hand their work back to.
  await Promise.all(parts.slice(parts[0]?.name === 'Temporal' ? 1 : 0).map((part) => part.stop()));
  await parts[0]?.stop();
  say('shut down; everything goes on where it was at the next lifeboat up');
}

interface Part {
  name: string;
  stop(): Promise<void>;
}

/** Starts a program again whenever it ends, a little later each time that it did not live for a minute. */
function keepRunning({
  name,
  command,
  args,
  env,
  say,
  signal,
}: {
  name: string;
  command: string;
  args: string[];
  env: NodeJS.ProcessEnv;
  say: (line: string) => void;
  signal: AbortSignal;
}): Part {
  let child: ChildProcess;
  let wait = 500;
  let ended = Promise.resolve();
  const start = () => {
    const startedAt = Date.now();
    child = startOnLeash(command, args, env);
    ended = new Promise((resolve) => {
      child.once('error', (error) => say(`${name} cannot be started: ${error.message}`));
      child.once('exit', (code, killedBy) => {
        resolve();
        if (signal.aborted) return;
        if (code === 2) {
          // It said why: somebody else runs it already, or the plan is wrong. Trying again would say it again.
          say(`${name} cannot run here; shutting down`);
          process.kill(process.pid, 'SIGTERM');
          return;
        }
        wait = Date.now() - startedAt > 60_000 ? 500 : Math.min(wait * 2, 15_000);
        say(`${name} ended (${killedBy ?? code}); starting it again in ${wait / 1000} s`);
        setTimeout(() => signal.aborted || start(), wait);
      });
    });
  };
  start();
  return {
    name,
    async stop() {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 25_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** True when an address is one of this machine's own. */
function isHere(address: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address));
  return ['localhost', hostname(), ...own].includes(address) || address.startsWith('127.');
}

function connects(address: string): Promise<boolean> {
  const [, host = '127.0.0.1', port = '7233'] = /^(.*):(\d+)$/.exec(address) ?? [];
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port), timeout: 2000 });
    const answer = (connected: boolean) => {
      socket.destroy();
      resolve(connected);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}
