import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { damageIndex, dropTable, overwritePages, wrongData, zeroPages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { isSealed, pageSize } from '../../lab/page.js';
import { tool } from '../../lab/tools.js';

describe('damage that is noticed', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ rows: 3000, service: false, temporal: 'none', fast: true });
  }, 900_000);
  afterAll(() => lab.stop());

  /** What amcheck says: empty when all is well. */
  async function amcheck(...more: string[]): Promise<string> {
    const { primary } = lab;
    const args = [
      '--install-missing',
      '--heapallindexed',
      '--host',
      primary.socketDirectory,
      '--port',
      String(primary.port),
      '--username',
      'postgres',
      '--database',
      'shop',
      ...more,
    ];
    return promisify(execFile)(tool('pg_amcheck'), args, {
      env: { ...process.env, PGPASSWORD: primary.passwords.superuser },
    }).then(
      () => '',
      (error: unknown) => Object.values(error as { stdout: string; stderr: string }).join('\n'),
    );
  }

  test('a sound database has no findings, and our checksums are those of the server', async () => {
    expect(await amcheck()).toBe('');
    await lab.primary.sql('CHECKPOINT');
    const [{ path } = { path: '' }] = await lab.primary.sql<{ path: string }>(
      `SELECT pg_relation_filepath('orders') AS path`,
    );
    const file = openSync(join(lab.primary.dataDirectory, path), 'r');
    for (const block of [0, 1, 7]) {
      const page = Buffer.alloc(pageSize);
      readSync(file, page, 0, pageSize, block * pageSize);
      expect(isSealed(page, block)).toBe(true);
    }
    closeSync(file);
  });

  test('an index out of order: amcheck finds it, a checksum does not, REINDEX repairs it', async () => {
    await damageIndex(lab.primary, 'orders_created');
    expect(await amcheck()).toMatch(/item order invariant violated for index "orders_created"/);
    await lab.primary.sql('REINDEX INDEX orders_created');
    expect(await amcheck()).toBe('');
  });

  test('garbage in an index: its checksum fails, the table can be read', async () => {
    await damageIndex(lab.primary, 'payments_order', 'garbage');
    expect(await amcheck()).toMatch(/invalid page in block/);
    expect(await lab.primary.sql('SELECT count(*) FROM payments')).toHaveLength(1);
    await lab.primary.sql('REINDEX INDEX payments_order');
    expect(await amcheck()).toBe('');
  });

  test('zero pages: rows are missing, and the table alone does not tell', async () => {
    const count = async (): Promise<number> =>
      (await lab.primary.sql<{ n: number }>('SELECT count(amount)::int AS n FROM payments'))[0]!.n;
    expect(await count()).toBe(3000);
    await zeroPages(lab.primary, 'payments', [1, 2]);
    expect(await amcheck('--no-dependent-indexes', '--table', 'payments')).toBe('');
    expect(await count()).toBeLessThan(3000);
  });

  test('an UPDATE without WHERE', async () => {
    const { before, rows } = await wrongData(lab.primary);
    expect(rows).toBe(3000);
    expect(Date.now() - before.getTime()).toBeLessThan(120_000);
    expect(await lab.primary.sql('SELECT 1 FROM orders WHERE total >= 0')).toEqual([]);
  });

  test('garbage in a table: a SELECT fails', async () => {
    await overwritePages(lab.primary, 'customers', [0, 1]);
    await expect(lab.primary.sql('SELECT sum(length(name)) FROM customers')).rejects.toThrow('invalid page in block');
    expect(await amcheck()).toMatch(/invalid page in block/);
  });

  test('a dropped table', async () => {
    await dropTable(lab.primary, 'payments');
    await expect(lab.primary.asApp('SELECT 1 FROM payments')).rejects.toThrow('does not exist');
  });
});
