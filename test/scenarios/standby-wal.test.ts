import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst, countOrders } from '../../lab/shop.js';
import { until } from '../../lab/wait.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import type { Question } from '../../vocabulary/question.js';
import { declare, endLab, protect, ran, untilPhase, untilState } from '../helpers/incident.js';
import { switchSegment } from '../helpers/host.js';

/** Issue 7, B1: the primary's WAL is gone since the last archived segment, and its standby has received it. */
describe('acknowledged rows that are in the WAL of a standby alone', { timeout: 600_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ standby: true, fast: true, rows: 200 });
    await protect(lab);
  }, 300_000);
  afterAll(() => endLab(lab));

  const asked = async (after = 0): Promise<IncidentState & { question: Question }> => {
    const waits = ({ question }: IncidentState) => question?.step === 'Approve' && question.id > after;
    return (await untilState(lab, 'an approval is asked for', waits, { seconds: 240 })) as IncidentState & {
      question: Question;
    };
  };

  test('while its agent is away that is said, and nobody waits for it; when it is back, every row is recovered', async () => {
    const { primary } = lab;
    await switchSegment(primary);
    await burst(primary, 40);
    const whole = await countOrders(primary);
    const [now] = await primary.sql<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    await until('the standby has it all', async () => {
      const [row] = await lab.standby!.sql<{ there: boolean }>(
        `SELECT pg_last_wal_replay_lsn() >= '${now!.lsn}' AS there`,
      );
      return row!.there;
    });
    await until('the canary has beaten since', async () => {
      const [row] = await primary.sql<{ there: boolean }>(
        `SELECT pg_current_wal_insert_lsn() > '${now!.lsn}' AS there`,
      );
      return row!.there;
    });
    await primary.kill9();
    const wal = join(primary.dataDirectory, 'pg_wal');
    for (const name of readdirSync(wal)) if (/^[0-9A-F]{24}$/.test(name)) rmSync(join(wal, name));
    await lab.agents['db2']!.kill9();
    await declare(lab, { to: 'latest' });
    const without = await asked();
    expect(without.warnings.find((line) => line.startsWith('not checked: pg_wal of standby db2 ('))).toBeDefined();
    expect(without.doubts.join('\n')).toMatch(
      /What was committed in between is not in it \(not asked: pg_wal of standby db2 \(/,
    );
    expect(without.rows.find(({ table }) => table === 'orders')?.found).toBeLessThan(whole);

    await lab.startAgents(['db2']);
    await ran(lab, ['decide', 'restore', '--to', 'latest', '--as', 'asha']);
    const now2 = await asked(without.question.id);
    expect(now2.rows.find(({ table }) => table === 'orders')?.found).toBe(whole);
    expect(now2.doubts.join('\n')).not.toMatch(/committed in between/);
    expect(now2.warnings.join('\n')).toMatch(
      /WAL that the archive and db1 do not have whole was taken from a standby: 0{7}1/,
    );
    await ran(lab, [
      'approve',
      '--as',
      'asha',
      ...(now2.doubts.length > 0 ? ['--reason', 'the rows are all there'] : []),
    ]);
    await untilPhase(lab, 'recovered', 'real', 240);
    expect(await countOrders(primary)).toBeGreaterThanOrEqual(whole);
  });
});
