import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { startTemporal, type TemporalServer } from '../../lab/temporal.js';
import { until } from '../../lab/wait.js';
import { endLab, ran } from '../helpers/incident.js';
import { supervise } from './supervisor.js';

let lab: Lab | undefined;
let temporal: TemporalServer | undefined;
afterAll(async () => {
  await temporal?.stop();
  await endLab(lab);
});

test(
  'workers that cannot reach Temporal say so in one line, keep trying, and work when it comes',
  { timeout: 900_000 },
  async () => {
    lab = await createLab({ fast: true, temporal: 'none', service: false });
    const workers = [
      await supervise(lab, 'control', ['worker']),
      await supervise(lab, 'agent-db1', ['agent', '--host', 'db1']),
    ];
    const lines = (log: string): string[] => readFileSync(log, 'utf8').trim().split('\n').filter(Boolean);
    for (const { log } of workers) {
      await until('it says something', () => lines(log).length > 0);
      expect(lines(log)).toHaveLength(1);
      expect(lines(log)[0]).toContain(`Temporal does not answer at ${lab.temporalAddress}`);
    }
    const address = lab.temporalAddress;
    temporal = await startTemporal({
      directory: join(lab.directory, 'temporal'),
      port: Number(address.split(':')[1]),
      env: lab.env,
    });
    for (const { log, deaths } of workers) {
      await until('it is ready', () => lines(log).some((line) => line.includes(`ready (Temporal at ${address}`)), 20);
      // The same process: it waited, and was not started again.
      expect(deaths()).toBe(0);
      expect(lines(log).filter((line) => line.includes('does not answer'))).toHaveLength(1);
      expect(lines(log).join('\n')).not.toMatch(/^\s+at /m);
    }
    expect(await ran(lab, ['backup', 'create', '--full'])).toContain('full backup');
    for (const worker of workers) await worker.stop();
    for (const { log } of workers) expect(lines(log).at(-1)).toContain('shut down');
  },
);
