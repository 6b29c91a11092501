import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HttpSink, startHttpSink } from '../../lab/servers/http-sink.js';
import { until } from '../../lab/wait.js';
import { workflowBundle } from '../../worker/run-worker.js';
import { ownTemporal } from '../helpers/temporal.js';
import { type Alerting, alertingSecrets, startAlerting, told, untilOpen } from '../helpers/alerting.js';

/** The alerts of a system against a real Temporal, with sinks for Slack and PagerDuty. */
describe('alerts', { timeout: 900_000 }, () => {
  const server = ownTemporal('WARN');
  let slack: HttpSink;
  let pagerduty: HttpSink;
  let alerting: Alerting;
  beforeAll(async () => {
    [slack, pagerduty] = await Promise.all([startHttpSink(), startHttpSink()]);
  });
  beforeEach(() => {
    for (const sink of [slack, pagerduty]) {
      sink.answer('well');
      sink.requests.length = 0;
    }
  });
  // Deterministic: whatever a test did, its history replays.
  afterEach(async () => {
    await Worker.runReplayHistory({ workflowBundle: workflowBundle() }, await alerting.handle.fetchHistory());
    await alerting.handle.terminate('the test is over');
    await Promise.all([alerting.control.kill9(), alerting.agent.kill9()]);
  });
  afterAll(() => Promise.all([slack.stop(), pagerduty.stop()]));
  const start = async (more: Partial<Parameters<typeof startAlerting>[0]> = {}): Promise<Alerting> =>
    (alerting = await startAlerting({
      directory: server.directory,
      temporal: server.temporal,
      slack,
      pagerduty,
      ...more,
    }));

  test('the control worker keeps them: told once however often raised, warnings wake nobody, resolved in the thread', async () => {
    await start();
    await until('the control worker has started them', () => alerting.now());
    await alerting.raise('backup/logical/main');
    await alerting.raise('location/offsite/logical/main', { severity: 'warning' });
    await until('both are told', () => told(slack).length === 2);
    for (let n = 0; n < 5; n += 1) await alerting.raise('backup/logical/main', { text: `again ${n}` });
    await untilOpen(alerting, ['backup/logical/main', 'location/offsite/logical/main']);
    const shown = await alerting.cli(['alerts']);
    expect(shown.code, shown.stderr).toBe(1);
    expect(shown.stdout).toMatch(/CRITICAL backup\/logical\/main is wrong \(since .*\n {2}→ again 4/);
    const { stdout: checks } = await alerting.cli(['doctor']);
    for (const name of ['slack', 'pagerduty'])
      expect(checks, 'doctor rehearses each channel').toMatch(new RegExp(`✔ pass .*notifications: ${name}`));
    await alerting.resolve('backup/logical/main', 'Taken.');
    await alerting.resolve('location/offsite/logical/main');
    await untilOpen(alerting, []);
    await until('all is told', () => told(slack).length === 4 && pagerduty.requests.length === 2);
    await alerting.resolve('backup/logical/main');
    expect(told(slack).slice(0, 2).sort()).toEqual([
      'CRITICAL: backup/logical/main is wrong',
      'warning: location/offsite/logical/main is wrong',
    ]);
    expect(told(slack).slice(2).sort()).toEqual([
      'resolved: backup/logical/main is wrong',
      'resolved: location/offsite/logical/main is wrong',
    ]);
    for (const { body } of slack.requests.filter(({ body }) => String(body['text']).includes(' is wrong*')))
      expect(body['thread_ts'] !== undefined, String(body['text'])).toBe(String(body['text']).includes('resolved'));
    expect(pagerduty.requests.map(({ body }) => body['event_action'])).toEqual(['trigger', 'resolve']);
    expect(await alerting.cli(['alerts'])).toMatchObject({ stdout: expect.not.stringContaining('is wrong (') });
  });

  test('what is still open is said again after its time, and a warning that becomes critical at once', async () => {
    await start({ pace: { check: 2, remind: 3 } });
    await alerting.raise('space/onsite', { severity: 'warning' });
    await until('a reminder', () => told(slack).includes('warning, still: space/onsite is wrong'));
    await alerting.raise('space/onsite', { severity: 'critical' });
    await until(
      'it is critical',
      () => told(slack).includes('CRITICAL: space/onsite is wrong') && pagerduty.requests.length > 0,
    );
    await alerting.resolve('space/onsite');
    // Whatever else is reminded of in between: it is told once that it is over, and after that nothing more of it.
    await until('it is over', () => told(slack).includes('resolved: space/onsite is wrong'));
    expect(told(slack).at(-1)).toBe('resolved: space/onsite is wrong');
    expect(told(slack).filter((says) => !says.includes('space/onsite'))).toEqual([]);
  });

  test('a channel that is down holds up no other, gets what it missed in order, and only what still counts', async () => {
    await start({ pace: { check: 300 } });
    slack.answer({ status: 500 });
    await alerting.raise('a');
    await until('PagerDuty is told', () => pagerduty.requests.length === 1);
    for (let n = 0; n < 4; n += 1) {
      await alerting.resolve('a');
      await alerting.raise('a');
    }
    await alerting.resolve('a');
    const now = await untilOpen(alerting, []);
    expect(now.sending.filter(({ channel, title }) => channel === 'slack' && title === 'a is wrong')).toMatchObject([
      { channel: 'slack' },
    ]);
    expect(now.undelivered).toEqual([]);
    const { stdout } = await until('the CLI shows it', async () => {
      const shown = await alerting.cli(['alerts']);
      return shown.stdout.includes('in vain') ? shown : undefined;
    });
    expect(stdout).toMatch(/… slack was told \d+ times in vain, and is told again: a is wrong: .*HTTP 500/);
    slack.answer('well');
    await until('Slack is told', () => told(slack).length === 2);
    expect(told(slack)).toEqual(['CRITICAL: a is wrong', 'resolved: a is wrong']);
    const actions = await until('PagerDuty knows that it is over', () => {
      const all = pagerduty.requests.map(({ body }) => body['event_action']);
      return all.at(-1) === 'resolve' ? all : undefined;
    });
    expect(actions[0]).toBe('trigger');
  });

  test('what a channel refuses, or does not take in its time, is shown as undelivered; once it is mended, what is open is told after all', async () => {
    await start({ pace: { check: 2, again: 4, patience: 60 } });
    slack.answer({ status: 200, body: { ok: false, error: 'invalid_auth' } });
    await alerting.raise('a', { text: `with ${alertingSecrets.SLACK_TOKEN} in it` });
    const { undelivered } = await until('it is undelivered', async () => {
      const now = await alerting.now();
      return now.undelivered.some(({ key }) => key === 'a') ? now : undefined;
    });
    expect(undelivered.filter(({ key }) => key === 'a')).toMatchObject([
      { channel: 'slack', key: 'a', state: 'raised', why: expect.stringContaining('invalid_auth') },
    ]);
    const shown = await alerting.cli(['alerts']);
    expect(shown.stdout).toMatch(
      /✉ not delivered by slack \(raised, .* ago\): a is wrong: Slack refuses the notice: invalid_auth\n {2}→ Give the control worker/,
    );
    const tested = await alerting.cli(['alerts', 'test']);
    expect(tested.code).toBe(1);
    expect(tested.stdout).toMatch(/✖ slack .*invalid_auth\n.*→[^]*✔ pagerduty/);
    slack.answer('well');
    await until('Slack is told after all', () => told(slack).some((one) => one.includes('a is wrong')));
    await until('nothing is undelivered', async () => (await alerting.now()).undelivered.length === 0);
    expect(JSON.stringify(slack.requests)).not.toContain(`with ${alertingSecrets.SLACK_TOKEN}`);
    expect(await alerting.cli(['alerts', 'test'])).toMatchObject({ code: 0 });
  });

  test('a control worker that is killed loses no alert; told twice is possible only for what was being told at that moment', async () => {
    await start({ pace: { check: 300 } });
    await alerting.raise('before');
    await until('it is told', () => told(slack).length === 1 && pagerduty.requests.length === 1);
    slack.answer('hang');
    await alerting.raise('during');
    await until('Slack is being told', () =>
      slack.requests.some(({ body }) => String(body['text']).includes('during')),
    );
    await alerting.control.kill9();
    slack.answer('well');
    await alerting.raise('while it is dead');
    await alerting.resolve('before');
    await alerting.control.restart();
    await until('all is told', () => told(slack).length >= 4);
    await untilOpen(alerting, ['during', 'while it is dead']);
    expect(told(slack).sort()).toEqual([
      'CRITICAL: before is wrong',
      'CRITICAL: during is wrong',
      'CRITICAL: while it is dead is wrong',
      'resolved: before is wrong',
    ]);
    const triggered = pagerduty.requests
      .filter(({ body }) => body['event_action'] === 'trigger')
      .map(({ body }) => body['dedup_key']);
    expect(triggered.filter((key) => String(key).endsWith('/before'))).toHaveLength(1);
  });

  test('begun anew before its history grows, it keeps what is open, what is on its way, and tells nothing twice', async () => {
    await start({ pace: { check: 1, history: 40 } });
    const runs = async () => (await alerting.handle.describe()).runId;
    const first = await runs();
    await alerting.raise('a');
    await until('it is told', () => told(slack).length === 1);
    slack.answer({ status: 503 });
    await alerting.raise('b');
    await untilOpen(alerting, ['a', 'b']);
    const second = await until('another run', async () => ((await runs()) === first ? undefined : runs()));
    await until('and another one', async () => (await runs()) !== second);
    await untilOpen(alerting, ['a', 'b']);
    slack.answer('well');
    await until('what was on its way arrives', () => told(slack).includes('CRITICAL: b is wrong'));
    await alerting.resolve('a');
    await until('the thread is known', () => told(slack).includes('resolved: a is wrong'));
    expect(
      slack.requests.find(({ body }) => String(body['text']).includes('resolved: a'))!.body['thread_ts'],
    ).toBeDefined();
    await pause(1500);
    expect(told(slack)).toEqual(['CRITICAL: a is wrong', 'CRITICAL: b is wrong', 'resolved: a is wrong']);
    expect(pagerduty.requests.map(({ body }) => body['event_action'])).toEqual(['trigger', 'trigger', 'resolve']);
  });

  test('trouble that an agent finds is raised, and over when it is mended', async () => {
    await start({ pace: { check: 1 } });
    const has = async () => (await alerting.now()).open.some(({ key }) => key === 'unseen/location/mount');
    await until('the location that is not there is an alert', has);
    mkdirSync(alerting.mount, { mode: 0o777 });
    await until('it is over', async () => !(await has()));
    await until('Slack knows', () =>
      slack.requests.some(({ body }) => String(body['text']).includes('resolved: location mount cannot be looked at')),
    );
  });
});
