import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configurationOf, dataDirectoryOf } from '../../lab/debian.js';
import { overwritePages } from '../../lab/damage.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { burst } from '../../lab/shop.js';
import { expectInService, isFenced } from '../helpers/end-state.js';
import { declare, endLab, protect, ran, step, untilPhase, untilQuestion } from '../helpers/incident.js';

/**
 * A cluster as Debian's own programs make it, and the plan that `lifeboat init` writes of it for an application's role.
 */
describe.runIf(process.getuid?.() === 0)(
  'a cluster of pg_createcluster with its defaults (needs root)',
  { timeout: 900_000 },
  () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await createLab({ fast: true, debian: true });
      await protect(lab);
    }, 900_000);
    afterAll(() => endLab(lab));

    test('the plan of init knows where its configuration is and what starts it, although the role may not ask the server', () => {
      const { debian, port } = lab.primary;
      expect(lab.plan.databases['main']!.postgres).toMatchObject({
        dataDirectory: dataDirectoryOf(debian!),
        configFile: join(configurationOf(debian!), 'postgresql.conf'),
        debianCluster: `${debian!.version}-${debian!.name}`,
        user: 'postgres',
        port,
      });
      expect(readFileSync(join(configurationOf(debian!), 'postgresql.conf'), 'utf8')).toMatch(/^ssl = on/m);
    });

    test('an incident brings it back, with ssl on as before', async () => {
      const { primary } = lab;
      const acknowledged = await burst(primary, 20);
      await overwritePages(primary, 'payments');
      await declare(lab);
      await untilQuestion(lab, 'approval', 'Approve');
      expect(isFenced(primary)).toBe(true);
      await ran(lab, ['approve', '--as', 'asha']);
      const state = await untilPhase(lab, 'recovered');
      expect(step(state, 'Put it in place')).toMatchObject({ status: 'done', attempts: 1 });
      const [found] = await primary.sql<{ ssl: string; orders: number }>(
        `SELECT current_setting('ssl') AS ssl, (SELECT count(*)::int FROM orders WHERE id = ANY($1)) AS orders`,
        [acknowledged.map(({ id }) => id)],
      );
      expect(found).toEqual({ ssl: 'on', orders: 20 });
      await expectInService(lab, 2);
    });
  },
);
