import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, DefaultLogger, Worker } from '@temporalio/worker';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { searchAttributeNames } from '../../vocabulary/search-attributes.js';
import { destroyLab, makeLabDirectory } from '../../lab/cleanup.js';
import { labVariable } from '../../lab/processes.js';
import { polled } from '../../lab/pollers.js';
import { startTemporal, type TemporalServer } from '../../lab/temporal.js';
import { until } from '../../lab/wait.js';

describe('the Temporal server', { timeout: 900_000 }, () => {
  let directory: string;
  let server: TemporalServer;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    directory = mkdtempSync(join(tmpdir(), 'temporal-'));
    chmodSync(directory, 0o755);
    server = await startTemporal({ directory, ui: true });
  });
  afterAll(async () => {
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  test('its page is there when it was asked for', async () => {
    expect((await fetch(server.uiUrl!)).status).toBe(200);
  });

  test('killed and restarted, it knows what it knew', async () => {
    const start = await Connection.connect({ address: server.address });
    await new Client({ connection: start }).workflow.start('nobody-runs-it', {
      workflowId: 'kept',
      taskQueue: 'nowhere',
    });
    await start.close();
    const before = server.pid();
    await server.kill9();
    await expect(Connection.connect({ address: server.address, connectTimeout: '1s' })).rejects.toThrow();
    await server.restart();
    expect(server.pid()).not.toBe(before);
    const connection = await Connection.connect({ address: server.address });
    expect((await new Client({ connection }).workflow.getHandle('kept').describe()).status.name).toBe('RUNNING');
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(Object.values(searchAttributeNames)));
    await connection.close();
  });

  test('a worker is seen when it polls, and one that polled before is not taken for it', async () => {
    const connection = await NativeConnection.connect({ address: server.address });
    const worker = await Worker.create({
      connection,
      taskQueue: 'work',
      activities: { nothing: async () => undefined },
    });
    const since = new Date();
    await expect(polled(server.address, 'work', 'activity', since, () => undefined, 1)).rejects.toThrow(
      'waited 1 s in vain for: a worker on work',
    );
    await worker.runUntil(() => polled(server.address, 'work', 'activity', since, () => undefined, 20));
    // Temporal may hear of the end of its last poll a moment after the worker has ended.
    await until('it is not taken for one that polls', () =>
      polled(server.address, 'work', 'activity', new Date(), () => undefined, 1).then(
        () => false,
        (error: unknown) => (error as Error).message.includes('in vain'),
      ),
    );
    await connection.close();
  });
});

test(
  'a server of several threads is gone only when its last one is: its port is free then',
  { timeout: 900_000 },
  async () => {
    const directory = makeLabDirectory();
    try {
      const server = await startTemporal({ directory, env: { ...process.env, [labVariable]: directory } });
      const port = Number(server.address.split(':')[1]);
      for (let times = 0; times < 8; times += 1) {
        await server.kill9();
        await new Promise<void>((resolve, reject) => {
          const taker = createServer().once('error', reject);
          taker.listen(port, '127.0.0.1', () => taker.close(() => resolve()));
        });
        await server.restart();
      }
    } finally {
      destroyLab(directory);
    }
  },
);
