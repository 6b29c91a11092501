import { Connection } from '@temporalio/client';
import { join } from 'node:path';
import { searchAttributeNames, searchAttributeOptions } from '../vocabulary/search-attributes.js';
import { startChild, type Child } from './child.js';
import { freePort } from './ports.js';
import { tool } from './tools.js';
import { GaveUp, until } from './wait.js';

export interface TemporalOptions {
  /** Where its database file and log are kept. */
  directory: string;
  ui?: boolean;
  port?: number;
  env?: NodeJS.ProcessEnv;
  /** Limits of the server that a test wants to come to: `limit.historyCount.suggestContinueAsNew`. */
  limits?: Record<string, number>;
}

/** A Temporal development server whose histories are in a file: killed and restarted, it goes on where it was. */
export interface TemporalServer {
  address: string;
  /** The Web UI, when it was asked for. */
  uiUrl?: string;
  pid(): number;
  kill9(): Promise<void>;
  stop(): Promise<void>;
  /** On the same ports and the same file; kills the old one first, if it is there. */
  restart(): Promise<void>;
}

export async function startTemporal(options: TemporalOptions): Promise<TemporalServer> {
  const port = options.port ?? (await freePort());
  const uiPort = options.ui ? await freePort() : undefined;
  const address = `127.0.0.1:${port}`;
  const args = [
    ...[
      'server',
      'start-dev',
      '--ip',
      '127.0.0.1',
      '--port',
      String(port),
      '--http-port',
      String(await freePort()),
      '--metrics-port',
      String(await freePort()),
    ],
    ...(uiPort ? ['--ui-port', String(uiPort)] : ['--headless']),
    ...['--db-filename', join(options.directory, 'temporal.db'), '--log-level', 'error'],
    // Four times faster with a file, and still safe when the process (not the machine) is killed.
    ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=1'],
    ...Object.entries(options.limits ?? {}).flatMap(([name, value]) => ['--dynamic-config-value', `${name}=${value}`]),
    ...searchAttributeOptions,
  ];
  const start = async (): Promise<Child> => {
    const started = await startChild({
      program: tool('temporal'),
      args,
      cwd: options.directory,
      env: options.env ?? process.env,
      log: join(options.directory, 'temporal.log'),
    });
    await until(
      'the Temporal server',
      async () => {
        if (!started.isAlive()) throw new GaveUp(`the Temporal server ended at once:\n${started.tail()}`);
        return serves(address);
      },
      60,
      50,
    );
    return started;
  };
  let child = await start();
  return {
    address,
    ...(uiPort ? { uiUrl: `http://127.0.0.1:${uiPort}` } : {}),
    pid: () => child.pid,
    kill9: () => child.kill9(),
    stop: () => child.stop(),
    async restart() {
      if (child.isAlive()) await child.kill9();
      child = await start();
    },
  };
}

/** It answers, and knows the namespace and our search attributes: the last things that it sets up. */
async function serves(address: string): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: '2s' });
  try {
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    return Object.values(searchAttributeNames).every((name) => name in customAttributes);
  } finally {
    await connection.close();
  }
}
