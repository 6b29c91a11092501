import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { countOrders } from '../../lab/shop.js';
import { declare, endLab, protect, ran, untilPhase, untilState } from '../helpers/incident.js';
import { switchSegment } from '../helpers/host.js';

/** Issue 7, A10: `rm -rf` of the data directory, and of all that the agent had noted. */
describe('a host on which nothing is left but the plan', { timeout: 600_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ fast: true, rows: 300 });
    await protect(lab);
  }, 300_000);
  afterAll(() => endLab(lab));

  test('an agent that begins there anew recovers it, by what lies beside the backups', async () => {
    const { primary } = lab;
    await switchSegment(primary);
    await lab.agents['db1']!.kill9();
    // Stopped in order: it archives what it has.
    await primary.stop();
    for (const path of [primary.dataDirectory, join(lab.directory, 'state', lab.system, 'db1')])
      rmSync(path, { recursive: true });
    await lab.startAgents(['db1']);
    const { answer, problem } = await declare(lab, { to: 'latest' });
    expect(problem).toBeUndefined();
    expect(answer).toBe('accepted');
    const state = await untilState(lab, 'an approval is asked for', ({ question }) => question?.step === 'Approve', {
      seconds: 240,
    });
    expect(state.warnings.join('\n')).toMatch(
      /the agent of db1 has no notes of main: what it was is known from \S+ at onsite/,
    );
    await ran(lab, ['approve', '--as', 'asha', ...(state.doubts.length > 0 ? ['--reason', 'looked at it'] : [])]);
    await untilPhase(lab, 'recovered', 'real', 240);
    expect(await countOrders(primary)).toBe(300);
  });
});
