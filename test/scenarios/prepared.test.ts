import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import type { Question } from '../../vocabulary/question.js';
import { expectDeaths, startWalk } from '../faults/walk.js';
import {
  close,
  declare,
  endLab,
  protect,
  ran,
  refused,
  step,
  stepNames,
  untilPhase,
  untilState,
} from '../helpers/incident.js';

/**
 * Issue 7, A4: what an application has prepared for a commit in two phases comes back with every restore, and keeps its
 * locks.
 */
describe('transactions that the restored copy holds prepared', { timeout: 600_000 }, () => {
  let lab: Lab;
  const gid = `it's "payment" 17`;
  beforeAll(async () => {
    lab = await createLab({ fast: true, rows: 200 });
    const { primary } = lab;
    await primary.sql('ALTER SYSTEM SET max_prepared_transactions = 5');
    await primary.restart();
    await primary.sql('CREATE DATABASE stock', [], 'postgres');
    await primary.sql('CREATE TABLE items (id int)', [], 'stock');
    await primary.sql('CREATE TABLE notes (id int)');
    await protect(lab);
    await primary.sql(`BEGIN; INSERT INTO notes VALUES (1); PREPARE TRANSACTION 'it''s "payment" 17'`);
    await primary.sql(`BEGIN; INSERT INTO items VALUES (1); PREPARE TRANSACTION 'delivery 4'`, [], 'stock');
  }, 300_000);
  afterAll(() => endLab(lab));

  const prepared = async () =>
    (await lab.primary.sql<{ gid: string }>('SELECT gid FROM pg_prepared_xacts ORDER BY gid', [], 'postgres')).map(
      (row) => row.gid,
    );

  const asked = async (): Promise<Question> => {
    const waits = ({ question }: IncidentState) => question?.step === 'Approve';
    return (await untilState(lab, 'an approval is asked for', waits, { seconds: 240 })).question!;
  };

  test('a person is asked what becomes of them, and may leave them', async () => {
    await declare(lab, { to: 'latest' });
    const question = await asked();
    const facts = question.facts.filter((fact) => fact.startsWith('PREPARED'));
    expect(facts[0]).toMatch(
      /^PREPARED: 2 transactions in the copy\. They stay with approve, and then keep their locks and hold VACUUM back/,
    );
    expect(facts.slice(1)).toEqual([
      expect.stringMatching(
        /^PREPARED [\dm. ]+s ago: prepared transaction 'it''s "payment" 17' of postgres in database shop, since 20/,
      ),
      expect.stringMatching(
        /^PREPARED [\dm. ]+s ago: prepared transaction 'delivery 4' of postgres in database stock, since 20.*ROLLBACK PREPARED 'delivery 4';$/,
      ),
    ]);
    expect(question.choices.map(({ name }) => name)).toEqual(['approve', 'rollback-prepared', 'restore', 'abort']);
    await refused(lab, ['approve', '--as', 'asha'], 2, /needs a reason/);
    await ran(lab, ['approve', '--as', 'asha', '--reason', 'the payment service commits them itself']);
    const state = await untilPhase(lab, 'recovered', 'real', 120);
    expect(await prepared()).toEqual(['delivery 4', gid]);
    expect(stepNames(state)).not.toContain('Roll back what was prepared');
    expect(
      state.warnings.filter((line) => line.startsWith('left as it is by asha: prepared transaction')),
    ).toHaveLength(2);
    await close(lab);
  });

  test('chosen, they are rolled back in the copy and nowhere else, by agents that are killed before and after each; who chose it is in the report', async () => {
    await declare(lab, { to: 'latest' });
    await asked();
    expect(await prepared(), 'of production nothing is ended').toHaveLength(2);
    await lab.agents['db1']!.kill9();
    await lab.agents['app1']!.kill9();
    const points = ['before', 'after'].map((when) => `rollBackPrepared: ${when} rolling a prepared transaction back`);
    const walk = await startWalk(lab, points);
    await ran(lab, ['decide', 'rollback-prepared', '--as', 'asha', '--reason', 'the payment service is gone']);
    await untilState(lab, 'they are rolled back', (now) => stepNames(now).includes('Put it in place'), {
      seconds: 300,
    });
    for (const agent of walk.agents) await agent.stop();
    await lab.startAgents();
    const state = await untilPhase(lab, 'recovered', 'real', 180);
    expectDeaths(walk, points);
    expect(await prepared()).toEqual([]);
    expect(step(state, 'Approve').decision).toMatchObject({
      by: 'asha',
      choice: 'rollback-prepared',
      reason: 'the payment service is gone',
    });
    expect(step(state, 'Roll back what was prepared')).toMatchObject({
      status: 'done',
      summary: `rolled back in the copy: 'it''s "payment" 17' in shop, 'delivery 4' in stock; chosen by asha`,
    });
    expect(state.lost.filter((line) => /rolled back in the copy, as asha chose/.test(line))).toHaveLength(2);
    expect(await lab.primary.sql('SELECT * FROM items', [], 'stock')).toEqual([]);
    await close(lab);
  });
});
