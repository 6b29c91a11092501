import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { caughtUp, isStreaming } from '../../lab/cluster.js';
import { burst, countOrders, writeContinuously } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';

describe('the databases of a lab', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ standby: true, service: false, temporal: 'none', fast: true });
  }, 900_000);
  afterAll(() => lab.stop());

  test('a standby streams, and has what the application wrote', async () => {
    expect(await isStreaming(lab.primary, 'db2')).toBe(true);
    const written = await burst(lab.primary, 20);
    await caughtUp(lab.primary, lab.standby!);
    expect(await countOrders(lab.standby!)).toBe(1000 + written.length);
    await expect(lab.standby!.asApp('DELETE FROM orders')).rejects.toThrow('read-only');
  });

  test('checksums are on, archiving is on, and goes nowhere yet', async () => {
    const show = async (name: string): Promise<unknown> =>
      (await lab.primary.sql('SELECT current_setting($1) AS value', [name]))[0]!['value'];
    expect(await show('data_checksums')).toBe('on');
    expect(await show('archive_mode')).toBe('on');
    expect(await show('archive_command')).toBe('');
  });

  test('the superuser needs the password that the plan refers to', async () => {
    const client = new pg.Client({
      host: lab.primary.socketDirectory,
      port: lab.primary.port,
      user: 'postgres',
      password: 'another',
      database: 'shop',
    });
    await expect(client.connect()).rejects.toThrow('password authentication failed');
  });

  test('a writer goes on through a crash, and every acknowledged row is there', async () => {
    const writer = writeContinuously(lab.primary, 5);
    await until('some orders', () => writer.written.length > 20);
    await lab.primary.kill9();
    expect(lab.primary.isRunning()).toBe(false);
    await until('refused orders', () => writer.failed > 0);
    await lab.primary.start();
    const before = writer.written.length;
    await until('more orders', () => writer.written.length > before + 5);
    await writer.stop();
    const rows = await lab.primary.sql<{ id: number }>('SELECT id::int FROM orders WHERE id = ANY($1)', [
      writer.written.map((row) => row.id),
    ]);
    expect(rows).toHaveLength(writer.written.length);
    await until('the standby streams again', () => isStreaming(lab.primary, 'db2'));
  });
});
