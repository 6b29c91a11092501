import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLab, type Lab } from '../../lab/lab.js';
import { type HttpSink, startHttpSink } from '../../lab/servers/http-sink.js';
import { until } from '../../lab/wait.js';
import { expectNoSecrets } from '../helpers/histories.js';
import { endLab, ran } from '../helpers/incident.js';
import { told } from '../helpers/alerting.js';

/** What goes wrong with a backup reaches people, by name and with what to do; and so does its end. */
describe('alerts of backups', { timeout: 900_000 }, () => {
  let lab: Lab;
  let slack: HttpSink;
  const said = (what: RegExp) =>
    until(`Slack is told ${what.source}`, () => told(slack).some((text) => what.test(text)), 120);
  const texts = () => slack.requests.map(({ body }) => JSON.stringify(body)).join('\n');

  beforeAll(async () => {
    slack = await startHttpSink();
    lab = await createLab({
      fast: true,
      service: false,
      locations: 2,
      env: { SLACK_TOKEN: 'xoxb-lab-0123456789' },
      plan: (plan) => {
        plan.notifications = { slack: { token: 'env:SLACK_TOKEN', channel: '#ops', url: `${slack.url}/api/` } };
        plan.databases['main']!.backups = {
          logical: { locations: ['onsite', 'offsite'] },
          verification: { host: 'db1' },
        };
      },
    });
    lab.secrets.push('xoxb-lab-0123456789');
    await Promise.all([lab.startControl(), lab.startAgents()]);
  }, 900_000);
  afterAll(async () => {
    await endLab(lab);
    await slack.stop();
  });

  test('a location that does not take a backup is named, the others go on, and it is over with the next one', async () => {
    const away = `${lab.locations['offsite']!}.away`;
    renameSync(lab.locations['offsite']!, away);
    const { code, stdout } = await lab.cli(['backup', 'create', '--logical']);
    expect(code, stdout).toBe(1);
    expect(stdout).toMatch(/at onsite.*NOT at offsite/);
    await said(/^warning: logical backup of main: location offsite did not take it/);
    renameSync(away, lab.locations['offsite']!);
    await ran(lab, ['backup', 'create', '--logical']);
    await said(/^resolved: logical backup of main: location offsite did not take it/);
  });

  test('a backup that fails everywhere is critical, and says what to do next', async () => {
    const locations = Object.values(lab.locations);
    for (const directory of locations) renameSync(directory, `${directory}.away`);
    const { code, stderr } = await lab.cli(['backup', 'create', '--logical']);
    expect(code, stderr).not.toBe(0);
    expect(stderr).toMatch(/→ /);
    await said(/^CRITICAL: logical backup of main FAILED/);
    expect(texts()).toMatch(/→ /);
    for (const directory of locations) renameSync(`${directory}.away`, directory);
    await ran(lab, ['backup', 'create', '--logical']);
    await said(/^resolved: logical backup of main FAILED/);
  });

  test('damage that verification finds is critical, names the file, and the newest that restores is found all the same', async () => {
    const below = join(lab.locations['onsite']!, 'lifeboat', lab.system, 'logical', 'main');
    const newest = readdirSync(below)
      .filter((name) => !name.endsWith('.json'))
      .sort()
      .at(-1)!;
    const file = join(
      below,
      newest,
      readdirSync(join(below, newest)).find((name) => name.startsWith('database.dump'))!,
    );
    const bytes = readFileSync(file);
    bytes[Math.floor(bytes.length / 2)]! ^= 0xff;
    writeFileSync(file, bytes);
    const tested = await lab.cli(['backup', 'test']);
    expect(tested.code, tested.stdout + tested.stderr).toBe(1);
    expect(tested.stdout).toMatch(new RegExp(`${newest} from offsite was restored`));
    await said(/^CRITICAL: the newest logical backup of main does not restore/);
    const verified = await lab.cli(['backup', 'verify']);
    expect([verified.code, verified.stdout]).toEqual([
      1,
      expect.stringMatching(new RegExp(`${newest} .*at onsite .*database\\.dump`)),
    ]);
    await said(/^CRITICAL: damaged logical backups of main/);
    expect(await ran(lab, ['backup', 'list'])).toMatch(new RegExp(`${newest} .*onsite .*DAMAGED`));
  });

  test('no history, no alert and no log holds a secret', async () => {
    expect(texts().replaceAll(/"authorization":"[^"]*"/g, '')).not.toMatch(new RegExp(lab.secrets.join('|')));
    await expectNoSecrets(lab);
  });
});
