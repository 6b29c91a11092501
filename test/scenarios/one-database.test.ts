import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect, ran, step, untilPhase, untilQuestion } from '../helpers/incident.js';

/** Field note 24: two databases in one cluster, of which one is to go back in time. */
describe('a cluster with another database', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ fast: true, rows: 200 });
    await lab.primary.sql('create database stock', [], 'postgres');
    await lab.primary.sql('create table items as select g as id from generate_series(1, 1000) g', [], 'stock');
    await protect(lab);
  }, 900_000);
  afterAll(() => endLab(lab));

  const count = async (table: string, database: string) =>
    (await lab.primary.sql<{ n: number }>(`select count(*)::int as n from ${table}`, [], database))[0]!.n;

  test('on-call is told that it would go back, too, puts the one back alone, and rolls that back', async () => {
    const { primary } = lab;
    const [row] = await primary.sql<{ now: string }>(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as now`,
    );
    await primary.sql('delete from payments');
    await primary.sql('insert into items select g from generate_series(1001, 1500) g', [], 'stock');
    await declare(lab, { to: row!.now });
    const asked = await untilQuestion(lab, 'approval', 'Approve');
    expect(asked.warnings.join('\n')).toMatch(/every other database of the cluster goes back with it, too: stock: /);
    expect(asked.question.facts.join('\n')).toMatch(
      /NOT ONLY main: it takes back the database stock: .*about 1500 rows in 1 table now/,
    );
    expect(asked.question.choices.map(({ name }) => name)).toEqual(['approve', 'only', 'restore', 'abort']);
    const doubtful = asked.doubts.length > 0 ? ['--reason', 'the orders are as they were'] : [];
    await ran(lab, ['decide', 'only', '--as', 'asha', ...doubtful]);
    const state = await untilPhase(lab, 'recovered');
    expect(step(state, 'Put the one database back')).toMatchObject({ status: 'done' });
    expect(state.steps.some(({ name }) => name === 'Put it in place')).toBe(false);
    expect(await count('payments', 'shop')).toBeGreaterThan(0);
    expect(await count('items', 'stock'), 'as it was').toBe(1500);
    const [aside] = state.quarantine.map(({ path }) => path);
    expect(aside).toMatch(/^shop_before_/);
    expect(await count('payments', aside!)).toBe(0);

    await ran(lab, ['decide', 'roll-back', '--reason', 'it was the wrong one', '--as', 'asha']);
    const back = await untilPhase(lab, 'rolled back');
    expect(back.quarantine.map(({ path }) => path).some((path) => /^shop_before_/.test(path))).toBe(true);
    expect(await count('payments', 'shop')).toBeLessThan(50);
    expect(await count('items', 'stock')).toBe(1500);
  });
});
