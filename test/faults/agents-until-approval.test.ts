import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { declare, endLab, protect } from '../helpers/incident.js';
import { disaster } from './disaster.js';
import { untilAssessed, untilVerified } from './points.js';
import { expectRecovered } from './recovered.js';
import { approve, expectVisited, startWalk, untilApproval, untilRecovered } from './walk.js';

let lab: Lab | undefined;
afterAll(() => endLab(lab));

test('agents that are killed at every point until the approval', { timeout: 900_000 }, async () => {
  lab = await createLab({ standby: true, fast: true, rows: 2000 });
  await protect(lab);
  const before = await disaster(lab, 'restore');
  // The walk takes longer than archive_timeout, and the restore is to find WAL that was not archived.
  await lab.primary.sql('ALTER SYSTEM SET archive_timeout = 0');
  await lab.primary.sql('SELECT pg_reload_conf()');
  for (const agent of Object.values(lab.agents)) await agent.kill9();
  const walk = await startWalk(lab);
  await declare(lab);
  await untilApproval(lab, walk);
  // The rest is walked in another lab, beside this one.
  for (const agent of walk.agents) await agent.stop();
  await lab.startAgents();
  await approve(lab);
  await untilRecovered(lab, walk);
  await expectRecovered(lab, before);
  expectVisited(walk, { ...untilAssessed, ...untilVerified });
  expect(walk.agents.reduce((sum, agent) => sum + agent.deaths(), 0)).toBeGreaterThan(60);
});
