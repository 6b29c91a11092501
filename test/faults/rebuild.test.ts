import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isStreaming } from '../../lab/cluster.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { endLab, protect } from '../helpers/incident.js';
import { disaster, noAgents } from './disaster.js';
import { oldTimeline, rebuildStandby } from './points.js';
import { expectEndState } from './recovered.js';
import { Steps } from './steps.js';
import { expectDeaths, expectVisited } from './walk.js';

/** Whether WAL can be written to the archive. */
function archive(lab: Lab, is: 'full' | 'works'): void {
  const folders = readdirSync(lab.locations['onsite']!, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /archive\/[^/]+\/[^/]+\/[0-9A-F]{16}$/.test(name),
  );
  expect(folders).not.toEqual([]);
  for (const folder of folders) chmodSync(join(lab.locations['onsite']!, folder), is === 'full' ? 0o555 : 0o755);
}

/** A restore to an earlier moment: the standby has received what the copy does not have, and can only be taken anew. */
describe('an agent that is killed at every point', { timeout: 1_800_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({ standby: true, fast: true, rows: 2000 });
    await protect(lab);
  }, 900_000);
  afterAll(() => endLab(lab));

  test('of the rebuilding of a standby that is ahead of the restored copy', async () => {
    // The segment with that moment is in no archive: the copy takes it over from the damaged server, and ends in the
    // middle of it.
    archive(lab, 'full');
    const before = await disaster(lab, 'restore');
    await noAgents(lab);
    const steps = new Steps(lab, 'rebuild', before.moment);
    steps.killing = 'nowhere';
    await steps.assess();
    await steps.restore();
    archive(lab, 'works');
    // The rest of it is walked where a restore is.
    steps.killing = oldTimeline;
    await steps.putInPlace();
    steps.killing = 'nowhere';
    await steps.resume();
    expect(await isStreaming(lab.primary, lab.standby!.host), 'a standby that is ahead does not follow').toBe(false);
    steps.killing = 'everywhere';
    const rebuilt = await steps.rebuildStandby();
    expect(rebuilt.quarantine, 'the old one lies aside').not.toBeNull();
    expect(await isStreaming(lab.primary, lab.standby!.host), 'the new one streams').toBe(true);
    await lab.startAgents();
    await expectEndState(lab, before, steps.left, 'time');
    expectVisited(steps, rebuildStandby);
    expectDeaths(steps, oldTimeline);
  });
});
