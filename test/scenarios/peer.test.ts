import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLab } from '../../lab/lab.js';
import { until } from '../../lab/wait.js';
import { answering } from '../helpers/incident.js';

/** Debian's default: nobody has a password, and the kernel says who calls. */
test.runIf(process.getuid?.() === 0)(
  'an agent that is root recovers a database that lets its owner in by peer authentication (needs root)',
  { timeout: 900_000 },
  async () => {
    const lab = await createLab({
      fast: true,
      plan: (plan) => {
        delete plan.databases['main']!.postgres.password;
      },
    });
    try {
      const hba = join(lab.primary.dataDirectory, 'pg_hba.conf');
      const others = readFileSync(hba, 'utf8')
        .split('\n')
        .filter((line) => !line.startsWith('local'));
      writeFileSync(hba, ['local all postgres peer', ...others].join('\n'));
      await lab.primary.restart();
      await Promise.all([lab.startControl(), lab.startAgents(), lab.service('start')]);
      expect(await lab.cli(['backup', 'create', '--full'])).toMatchObject({ code: 0 });
      // A moment that a later commit of the canary makes reachable: until then the request is refused, and nothing is
      // changed.
      const target = new Date().toISOString();
      await until(
        'the target can be reached',
        async () => (await lab.cli(['start', 'database-corruption', '--to', target, '--detach'])).code === 0,
      );
      await until(
        'the approval is taken',
        async () => (await lab.cli(await answering(lab, ['approve', '--as', 'asha']))).code === 0,
      );
      const { code, stdout, stderr } = await lab.cli(['watch']);
      expect(code, stdout + stderr).toBe(0);
      expect(stdout).toContain('Recovered');
      expect(readFileSync(hba, 'utf8'), 'opened again, as it was').toMatch(/^local all postgres peer\n/);
    } finally {
      await lab.stop();
    }
  },
);
