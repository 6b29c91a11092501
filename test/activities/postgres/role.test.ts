import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demandPromoted } from '../../../activities/backups/takes-over.js';
import { withClient } from '../../../activities/postgres/connect.js';
import { type Answered, askRole, noteRole, observe } from '../../../activities/postgres/role.js';
import { rebuildStandby } from '../../../activities/recovery/rebuild-standby.js';
import type { Cluster } from '../../../lab/cluster.js';
import { createLab, type Lab } from '../../../lab/lab.js';
import { runAsDatabaseUser } from '../../../lab/os-user.js';
import { tool } from '../../../lab/tools.js';
import { until } from '../../../lab/wait.js';
import { timelineOf } from '../../helpers/end-state.js';
import { type Host, hostOf, switchSegment } from '../../helpers/host.js';

/** What a server is: seen while it runs, known while it does not; and whether it may be protected as the primary. */
describe('the role of a server', { timeout: 300_000 }, () => {
  let lab: Lab;
  let db1: Host;
  let db2: Host;
  let standby: Cluster;
  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100, standby: true });
    [db1, db2] = [await hostOf(lab), await hostOf(lab, 'db2')];
    standby = lab.standby!;
    await db1.backup();
  }, 300_000);
  afterAll(() => lab.stop());

  const asked = (host: Host): Promise<Answered> => withClient(host.cluster, { database: 'postgres' }, askRole);

  test('a primary and a standby say what they are, on which timeline, and how far', async () => {
    const [row] = await lab.primary.sql<{ system: string }>(
      'select system_identifier::text as system from pg_control_system()',
    );
    const common = {
      server: 'up',
      systemIdentifier: row!.system,
      timeline: 1,
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) as string,
    };
    expect(await observe(db1.cluster)).toEqual({ ...common, role: 'primary' });
    expect(await observe(db2.cluster)).toEqual({ ...common, role: 'standby' });
  });

  test('of servers that are down their files say it, whether they were stopped or killed', async () => {
    await standby.stop();
    expect(await observe(db2.cluster)).toMatchObject({ server: 'down', role: 'standby', timeline: 1 });
    await standby.start();
    await standby.kill9();
    expect(await observe(db2.cluster)).toMatchObject({ server: 'down', role: 'standby' });
    await lab.primary.kill9();
    expect(await observe(db1.cluster)).toMatchObject({ server: 'down', role: 'primary', timeline: 1 });
    await lab.primary.start();
    await standby.start();
  });

  test('a standby whose standby.signal was taken away is not protected as the primary: it writes under its names', async () => {
    await noteRole(db2.cluster, await asked(db2));
    await standby.stop();
    rmSync(join(standby.dataDirectory, 'standby.signal'));
    await standby.start();
    const stray = await asked(db2);
    expect(stray).toMatchObject({ role: 'primary', timeline: 1 });
    await noteRole(db2.cluster, stray);
    await expect(demandPromoted(db2.cluster, stray)).rejects.toMatchObject({
      type: 'WrongTarget',
      message: expect.stringMatching(
        /a primary on db2, too, on timeline 1, and was not promoted to it.*names that db1 uses/s,
      ) as string,
    });
    rmSync(join(db2.context.state, 'role-main.json'));
    await expect(
      demandPromoted(db2.cluster, stray),
      'nor where its agent has never seen it before',
    ).rejects.toMatchObject({
      type: 'WrongTarget',
    });
    await expect(demandPromoted(db1.cluster, await asked(db1)), "the plan's own").resolves.toBeUndefined();
  });

  test('one that was promoted is, also when its agent was not there to see it', async () => {
    await standby.stop();
    await runAsDatabaseUser('touch', [join(standby.dataDirectory, 'standby.signal')], lab.directory);
    await standby.start();
    await until('it follows', async () => (await asked(db2)).role === 'standby');
    rmSync(join(db2.context.state, 'role-main.json'), { force: true });
    await switchSegment(lab.primary);
    await runAsDatabaseUser(tool('pg_ctl'), ['promote', '-D', standby.dataDirectory, '-w'], lab.directory);
    expect(await timelineOf(standby)).toBe(2);
    const promoted = await asked(db2);
    expect(promoted, 'not the timeline of its last checkpoint').toMatchObject({ role: 'primary', timeline: 2 });
    await demandPromoted(db2.cluster, promoted);
    const rebuilt = rebuildStandby(db2.context).execute({ database: 'main', incident: 'shop-1', primary: 'db1' });
    await expect(rebuilt, 'what it has may be nowhere else').rejects.toMatchObject({
      type: 'WrongTarget',
      message: expect.stringMatching(/on db2 is no standby: it is a primary, on timeline 2$/) as string,
    });
    expect(await observe(db2.cluster), 'it was not stopped').toMatchObject({ server: 'up', role: 'primary' });
    await standby.kill9();
    expect(await observe(db2.cluster)).toMatchObject({ server: 'down', role: 'primary', timeline: 2 });
  });
});
