import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureArchiving } from '../../activities/backups/protect.js';
import { lookForTrouble } from '../../activities/alerts/trouble.js';
import type { HostContext } from '../../activities/context.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { until } from '../../lab/wait.js';
import { type Host, hostOf, switchSegment, withPlan } from '../helpers/host.js';

/** What is wrong with a real database is found, named with what to type next, and no longer found when it is mended. */
describe('trouble on a host', { timeout: 900_000 }, () => {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100, locations: 2 });
    host = await hostOf(lab);
    await ensureArchiving(host.cluster);
    await host.backup();
    await host.beat();
  }, 900_000);
  afterAll(() => lab.stop());

  const look = async (context: HostContext = host.context) => (await lookForTrouble(context).execute({})).found;
  const keys = async (context?: HostContext) => (await look(context)).map(({ key }) => key);
  /** Backups are due every ten seconds, which no plan can say, and late five seconds after that. */
  const often = (change: (plan: HostContext['plan']) => void = () => undefined) =>
    withPlan(host, (plan) => {
      plan.databases['main']!.backups.physical!.full = '*/10 * * * * *';
      change(plan);
    });

  test('a healthy host has none', async () => {
    expect(await look()).toEqual([]);
  });

  test('a late backup is found, with every location that misses it, until one is taken', async () => {
    const [late] = await until('it is late', async () => {
      const found = await look(often());
      return found.some(({ severity }) => severity === 'critical') ? found : undefined;
    });
    expect(late).toMatchObject({
      key: 'late/physical/main/full',
      severity: 'critical',
      title: 'the full backup of main is late at onsite and offsite',
      text: expect.stringMatching(/the newest is .* old.*lifeboat backup create --full --database main/),
    });
    // On a busy machine the next one may be late before this one is taken.
    await until('it is over', async () => (await host.backup(), (await keys(often())).length === 0));
  });

  test('a location that lost its backups is named alone, one that cannot be read is said to be so', async () => {
    const aside = `${lab.locations['offsite']}/backup`;
    renameSync(aside, `${aside}.aside`);
    try {
      const found = await look(often());
      expect(JSON.stringify(found)).toMatch(/offsite/);
      expect(found.every(({ severity }) => severity === 'warning')).toBe(true);
    } finally {
      renameSync(`${aside}.aside`, aside);
    }
  });

  test('a backup that nobody has verified is found where a verification is due, and only there', async () => {
    const scheduled = withPlan(host, (plan) => {
      plan.databases['main']!.backups.verification = { host: 'db1', schedule: '*/10 * * * * *' };
    });
    await until('it is overdue', async () => (await keys(scheduled)).includes('unverified/physical/main'));
    expect(await keys()).toEqual([]);
  });

  test('an archive that fails beyond the RPO is found, and is over when it works again', async () => {
    const soon = withPlan(host, (plan) => {
      plan.databases['main']!.objectives = { rto: 900, rpo: 2 };
    });
    await until('what was written before is archived', async () => !(await keys(soon)).includes('archive/main'));
    const [command] = await lab.primary.sql<{ archive_command: string }>('show archive_command');
    await lab.primary.sql(`alter system set archive_command = 'false'`);
    await lab.primary.sql('select pg_reload_conf()');
    await switchSegment(lab.primary);
    const found = await until('it is behind', async () => (await look(soon)).find(({ key }) => key === 'archive/main'));
    expect(found).toMatchObject({
      severity: 'critical',
      title: expect.stringMatching(/the archive of main is .* behind, more than its RPO of 2s/),
      text: expect.stringContaining('lifeboat doctor'),
    });
    expect(await keys(), 'within the RPO of the plan it is none').toEqual([]);
    await lab.primary.sql(`alter system set archive_command = ${pg.escapeLiteral(command!.archive_command)}`);
    await lab.primary.sql('select pg_reload_conf()');
    await switchSegment(lab.primary);
    await until('it is over', async () => !(await keys(soon)).includes('archive/main'));
  });

  test.runIf(process.getuid?.() === 0)(
    'a location near full is found, until there is room again (needs root)',
    async () => {
      const small = join(lab.directory, 'small');
      mkdirSync(small);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m,mode=0777', 'tmpfs', small]);
      try {
        const context = withPlan(host, (plan) => {
          plan.locations['onsite'] = { directory: small };
          plan.databases['main']!.backups.physical!.locations = ['onsite'];
        });
        const space = async () =>
          (await look(context)).filter(({ key }) => key.startsWith('space/') || key.startsWith('unseen/location'));
        expect(await space()).toEqual([]);
        const filling = join(small, 'filling');
        writeFileSync(filling, Buffer.alloc(19.6e6));
        expect(await space()).toMatchObject([
          {
            key: 'space/onsite',
            title: 'location onsite is near full',
            text: expect.stringMatching(/[\d.]+ MB of [\d.]+ MB are free as seen from db1/),
          },
        ]);
        execFileSync('rm', [filling]);
        expect(await space()).toEqual([]);
      } finally {
        execFileSync('umount', [small]);
      }
    },
  );

  test('a standby of the plan that does not stream is found', async () => {
    const context = withPlan(host, (plan) => {
      plan.databases['main']!.postgres.standbys = ['db2'];
    });
    expect(await look(context)).toMatchObject([
      { key: 'replication/main/db2', severity: 'warning', title: expect.stringContaining('does not stream') },
    ]);
  });

  test('a server that is down is named, and nothing throws', async () => {
    await lab.primary.stop();
    try {
      expect(await keys()).toContain('unseen/database/main');
      expect(existsSync(lab.primary.dataDirectory)).toBe(true);
    } finally {
      await lab.primary.start();
    }
    expect(await keys()).toEqual([]);
  });
});
