import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { isAlive, signal } from '../../lab/processes.js';
import { until } from '../../lab/wait.js';

describe('the web service', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ rows: 100, temporal: 'none', fast: true });
  }, 900_000);
  afterAll(() => lab.stop());

  const health = (): Promise<Response> => fetch(`${lab.serviceUrl}/health`);
  const pid = (): number => Number(readFileSync(join(lab.directory, 'app1', 'service.pid'), 'utf8').split('\n')[0]);
  const code = async (command: 'start' | 'stop' | 'status'): Promise<number> => (await lab.service(command)).code;

  test('serves orders', async () => {
    expect(await (await fetch(`${lab.serviceUrl}/orders`)).json()).toEqual({ orders: 100 });
    expect((await fetch(`${lab.serviceUrl}/orders`, { method: 'POST' })).status).toBe(201);
    expect(await (await fetch(`${lab.serviceUrl}/orders`)).json()).toEqual({ orders: 101 });
  });

  test('is degraded while the database is away, and healthy when it is back', async () => {
    expect(await (await health()).json()).toEqual({ status: 'ok' });
    await lab.primary.stop();
    const away = await health();
    expect([away.status, away.headers.get('X-System-Status')]).toEqual([503, 'degraded']);
    await lab.primary.start();
    await until('health', async () => (await health()).ok);
  });

  test('is degraded when the database can be read, and not written', async () => {
    await lab.primary.sql('ALTER ROLE app SET default_transaction_read_only = on');
    await lab.primary.restart();
    await until('degraded', async () => (await health()).status === 503);
    expect((await fetch(`${lab.serviceUrl}/orders`)).status).toBe(200);
    await lab.primary.sql('ALTER ROLE app RESET default_transaction_read_only');
    await lab.primary.restart();
    await until('health', async () => (await health()).ok);
  });

  test('starts and stops once, however often it is told to', async () => {
    const first = pid();
    expect([await code('start'), await code('start'), pid()]).toEqual([0, 0, first]);
    expect([await code('stop'), await code('stop'), await code('status')]).toEqual([0, 0, 3]);
    expect(isAlive(first)).toBe(false);
    expect(await Promise.all([code('start'), code('start'), code('start')])).toEqual([0, 0, 0]);
    expect([await code('status'), (await health()).status]).toEqual([0, 200]);
  });

  test('a dead one, and a pid that belongs to another process now, are not taken for it', async () => {
    const first = pid();
    signal(first, 'SIGKILL');
    await until('its end', () => !isAlive(first));
    expect(await code('status')).toBe(3);
    writeFileSync(join(lab.directory, 'app1', 'service.pid'), `${process.pid}\n1\n`);
    expect([await code('status'), await code('stop'), isAlive(process.pid)]).toEqual([3, 0, true]);
    expect([await code('start'), await code('status')]).toEqual([0, 0]);
  });

  test('one that does not listen to SIGTERM is killed', async () => {
    const first = pid();
    signal(first, 'SIGSTOP');
    expect(await code('stop')).toBe(0);
    expect(isAlive(first)).toBe(false);
    expect(await code('start')).toBe(0);
  });
});
