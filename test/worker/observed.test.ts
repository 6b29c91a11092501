import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { freePort } from '../../lab/ports.js';
import { until } from '../../lab/wait.js';
import { declare, endLab, ran, untilPhase, untilQuestion } from '../helpers/incident.js';
import { dropTable } from '../../lab/damage.js';
import { moment } from '../helpers/end-state.js';

/** What operators see of the processes of Lifeboat: metrics that Prometheus reads, and logs that a collector reads. */
describe('metrics and logs', { timeout: 600_000 }, () => {
  let lab: Lab;
  let control: string;
  let agent: string;
  beforeAll(async () => {
    lab = await createLab({ fast: true, rows: 200, service: false });
    [control, agent] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    await Promise.all([
      lab.startControl({ LIFEBOAT_METRICS: control }),
      lab.startAgents(undefined, { LIFEBOAT_METRICS: agent }),
    ]);
    await ran(lab, ['backup', 'create', '--full']);
  }, 300_000);
  afterAll(() => endLab(lab));

  const scrape = async (address: string) => (await fetch(`http://${address}/metrics`)).text();
  /** The value of a metric, once it is as it should be. */
  const untilValue = (address: string, metric: RegExp, good: (value: number) => boolean) =>
    until(`${String(metric)} at ${address}`, async () => {
      const line = (await scrape(address)).split('\n').find((one) => metric.test(one));
      const value = Number(line?.split(' ').at(-1) ?? NaN);
      return line !== undefined && good(value) ? line : undefined;
    });

  test('an agent gives the role, the archive, the canary and the backups of its databases, and what the SDK measures', async () => {
    const line = await untilValue(agent, /^lifeboat_database_primary\{/, (value) => value === 1);
    expect(line).toMatch(/database="main"/);
    expect(line).toMatch(/host="db1"/);
    expect(line).toMatch(new RegExp(`system="${lab.system}"`));
    await untilValue(agent, /^lifeboat_canary_age_seconds\{/, (value) => value < 60);
    await untilValue(agent, /^lifeboat_archive_age_seconds\{/, (value) => value >= 0);
    expect(await scrape(agent)).toMatch(/^temporal_/m);
  });

  test('the control worker gives open incidents, what is left of the RTO, and open questions; logs are JSON, each line with its incident', async () => {
    await untilValue(control, /^lifeboat_incidents_open\{.*mode="real"/, (value) => value === 0);
    const target = await moment(lab.primary);
    await dropTable(lab.primary, 'payments');
    const { id } = await declare(lab, { to: target });
    await untilQuestion(lab, 'approval');
    await untilValue(control, /^lifeboat_incidents_open\{.*mode="real"/, (value) => value === 1);
    await untilValue(control, /^lifeboat_questions_open\{.*mode="real"/, (value) => value === 1);
    await untilValue(control, /^lifeboat_incident_rto_left_seconds\{/, (value) => value > 0);
    await ran(lab, ['approve', '--as', 'asha', '--reason', 'a test']);
    await untilPhase(lab, 'recovered');
    await untilValue(control, /^lifeboat_incidents_open\{.*mode="real"/, (value) => value === 0);

    const lines = readFileSync(lab.agents['db1']!.log, 'utf8').trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as Record<string, string>);
    expect(told.find(({ step }) => step === 'restoreBeside')).toMatchObject({
      ...{ level: 'info', process: 'agent of db1', system: lab.system, host: 'db1', incident: id, component: 'main' },
      message: expect.stringMatching(/^restoreBeside done in \d+\.\d s: /) as string,
    });
    const text = lines.join('\n');
    for (const secret of lab.secrets) expect(text).not.toContain(secret);
  });

  test('an address that is none is refused, with what to write', async () => {
    const { code, stderr } = await lab.cli(['worker'], { env: { LIFEBOAT_METRICS: 'everywhere' } });
    expect(stderr).toMatch(/LIFEBOAT_METRICS is no address: everywhere[^]*LIFEBOAT_METRICS=127.0.0.1:9464/);
    expect(code).toBe(2);
  });
});
