import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { endLab, protect } from '../helpers/incident.js';
import { disaster, noAgents } from './disaster.js';
import { putInPlace, repair, untilAssessed, untilReleased, untilVerified } from './points.js';
import { expectEndState } from './recovered.js';
import { Steps } from './steps.js';
import { expectVisited } from './walk.js';

/**
 * Each of an agent's steps, with an agent that dies at every point of it: what is done, is done once, and what comes
 * after it goes on.
 */
describe('an agent that is killed at every point of a step', { timeout: 1_800_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ standby: true, fast: true, rows: 2000, locations: 2 });
    await protect(lab);
  }, 900_000);
  afterAll(() => endLab(lab));

  test('a repair', async () => {
    const before = await disaster(lab, 'repair');
    await noAgents(lab);
    const steps = new Steps(lab, 'repair');
    // The rest of it is that of a restore, where it is walked.
    steps.killing = ['repair:', 'rebuildStandby:'];
    const damage = await steps.assess();
    expect(damage.classification).toBe('repairable');
    await steps.repair(damage);
    await steps.resume();
    // Nothing of it was moved: it only looks.
    expect(await steps.rebuildStandby()).toMatchObject({ quarantine: null });
    await lab.startAgents();
    await expectEndState(lab, before, steps.left);
    expectVisited(steps, { repair: [...repair.repair, 'before vacuum full', 'after vacuum full'], rebuildStandby: [] });
  });

  test('a restore to the latest moment', async () => {
    const before = await disaster(lab, 'restore');
    // It takes longer than archive_timeout, and the restore is to find WAL that was not archived.
    await lab.primary.sql('ALTER SYSTEM SET archive_timeout = 0');
    await lab.primary.sql('SELECT pg_reload_conf()');
    await noAgents(lab);
    const steps = new Steps(lab, 'restore');
    expect((await steps.assess()).classification).toBe('not repairable');
    await steps.restore();
    await steps.putInPlace();
    await steps.resume();
    // It follows the copy by itself, or is rebuilt: who starts and stops the closed database again and again may send
    // it more than the copy has.
    // That is walked in rebuild.test.ts.
    steps.killing = 'nowhere';
    await steps.rebuildStandby();
    await lab.startAgents();
    await expectEndState(lab, before, steps.left);
    expectVisited(steps, { ...untilAssessed, ...untilVerified, ...putInPlace, ...untilReleased });
  });
});
