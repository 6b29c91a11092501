import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HttpSink, startHttpSink } from '../../lab/servers/http-sink.js';
import { until } from '../../lab/wait.js';
import { communicationsWorkflowId, incidentWorkflowId } from '../../vocabulary/names.js';
import { workflowBundle } from '../../worker/run-worker.js';
import { type Scripted, scripted } from '../helpers/scripted.js';
import { ownTemporal } from '../helpers/temporal.js';

/**
 * What people are told of an incident: real workflows and channels, sinks for Slack and PagerDuty, hosts as the test
 * says.
 */
describe('the people around an incident', { timeout: 600_000 }, () => {
  const server = ownTemporal();
  let slack: HttpSink;
  let pagerduty: HttpSink;
  let world: Scripted;
  beforeAll(async () => {
    [slack, pagerduty] = await Promise.all([startHttpSink(), startHttpSink()]);
  });
  beforeEach(async () => {
    for (const sink of [slack, pagerduty]) {
      sink.answer('well');
      sink.requests.length = 0;
    }
    world = await scripted({
      ...{ directory: server.directory, temporal: server.temporal, realControl: true },
      notifications: {
        slack: { token: 'env:SLACK_TOKEN', channel: '#oncall', url: `${slack.url}/api/` },
        pagerduty: { routingKey: 'env:PAGERDUTY_KEY', url: pagerduty.url },
      },
    });
  });
  afterEach(async () => {
    const { workflow } = world.lifeboat.temporal;
    for (const id of [incidentWorkflowId(world.system), communicationsWorkflowId(world.system, '')])
      for await (const { workflowId, runId } of workflow.list({ query: `WorkflowId STARTS_WITH '${id}'` }))
        await Worker.runReplayHistory(
          { workflowBundle: workflowBundle() },
          await workflow.getHandle(workflowId, runId).fetchHistory(),
        );
    await world.stop();
  });
  afterAll(() => Promise.all([slack.stop(), pagerduty.stop()]));

  const declare = async () => {
    const { declared } = await world.lifeboat.declare('database-corruption', {
      database: 'main',
      declaredBy: 'ben',
      mode: 'real',
    });
    return declared.id;
  };
  /** The first lines that Slack has taken, with the message that each answers. */
  const said = () => {
    const taken = slack.requests.filter(({ path, status }) => path.endsWith('chat.postMessage') && status === 200);
    return taken.map(({ body }) => ({
      line: /\] (.*?)\*/.exec(String(body['text']))?.[1] ?? '?',
      text: String(body['text']).split('\n').slice(1).join('\n'),
      inThread: body['thread_ts'] !== undefined,
    }));
  };
  const untilSaid = (line: RegExp) =>
    until(`Slack is told ${String(line)}; it was told ${JSON.stringify(said().map((one) => one.line))}`, () =>
      Promise.resolve(said().find((one) => line.test(one.line))),
    );
  const approve = async () => {
    const { question } = await world.untilState('the approval', (state) => state.question !== undefined);
    await world.lifeboat.incident().approve({ by: 'asha', question: question!.id });
    return question!.id;
  };

  test('they are told when it is declared, waits for them (with the command), is answered, recovered and closed', async () => {
    const id = await declare();
    const { priority } = await world.lifeboat.temporal.workflow.getHandle(incidentWorkflowId(world.system)).describe();
    expect(priority, 'before drills, and before backups').toMatchObject({ priorityKey: 1 });
    await untilSaid(/^INCIDENT declared: database-corruption of main, by ben$/);
    const waits = await untilSaid(/^the incident WAITS FOR YOU: Put the restored copy in place/);
    const number = await approve();
    expect(waits.text).toContain(`lifeboat approve --question ${number}   (put it in place`);
    expect(waits.text).toMatch(new RegExp(`lifeboat decide restore --question ${number}.* --to TARGET`));
    await untilSaid(/^answered: Put the restored copy in place/);
    const recovered = await untilSaid(/^incident RECOVERED: database-corruption of main$/);
    expect(recovered.text).toMatch(/^RTO [\d.]+s \(objective 1h 00m\), RPO 2(\.0)?s \(objective 5m 00s\)\./);
    await until(
      'its tasks are open',
      async () => (await world.lifeboat.incident('real', id).state()).phase === 'recovered',
      90,
      100,
    );
    await until('the lock is free', async () => !(await world.lifeboat.locked()), 90, 100);
    expect(await world.cli(['close', '--as', 'ben', '--leave-tasks-open', 'a test', '--incident', id])).toMatchObject({
      code: 0,
    });
    await untilSaid(/^incident closed: database-corruption of main$/);
    expect(said().map(({ line, inThread }) => `${inThread ? '  ' : ''}${line}`)).toEqual([
      'INCIDENT declared: database-corruption of main, by ben',
      'the incident WAITS FOR YOU: Put the restored copy in place and resume the service on it?',
      '  answered: Put the restored copy in place and resume the service on it?',
      '  incident RECOVERED: database-corruption of main',
      '  incident closed: database-corruption of main',
    ]);
    const events = pagerduty.requests.map(
      ({ body }) => `${String(body['event_action'])} ${String(body['dedup_key']).split('/').slice(2).join('/')}`,
    );
    expect(events).toEqual([
      `trigger incident/${id}`,
      `trigger incident/${id}/question/${number}`,
      `resolve incident/${id}/question/${number}`,
      `resolve incident/${id}`,
      `resolve incident/${id}`,
    ]);
    const handle = world.lifeboat.temporal.workflow.getHandle(communicationsWorkflowId(world.system, id));
    await until('nothing is left to tell', async () => (await handle.describe()).status.name === 'COMPLETED');
  });

  test('while every channel is down the incident recovers, waiting for none of them; when they are back they are told, in order', async () => {
    for (const sink of [slack, pagerduty]) sink.answer('hang');
    await declare();
    await approve();
    await until('it recovered, and the lock is free', async () => !(await world.lifeboat.locked()), 90, 100);
    expect(said(), 'nobody was told anything').toEqual([]);
    for (const sink of [slack, pagerduty]) sink.answer('well');
    await untilSaid(/^incident RECOVERED/);
    expect(said().map(({ line }) => line)).toEqual([
      'INCIDENT declared: database-corruption of main, by ben',
      'incident RECOVERED: database-corruption of main',
    ]);
  });

  test('a channel that refuses is an alert, and the others are told all the same', async () => {
    slack.answer({ status: 200, body: { ok: false, error: 'channel_not_found' } });
    const id = await declare();
    await approve();
    await until('PagerDuty has heard that it recovered', () =>
      Promise.resolve(
        pagerduty.requests.some(
          ({ body }) => body['event_action'] === 'resolve' && String(body['dedup_key']).endsWith(id),
        ),
      ),
    );
    const alerts = await until('the alert', async () => {
      const { stdout } = await world.cli(['alerts', '--json']);
      return /communications\/slack/.test(stdout) ? stdout : undefined;
    });
    expect(alerts).toMatch(/slack was not told: /);
    expect(alerts).toMatch(/channel_not_found/);
  });

  test('of a request that is refused at its check nobody is woken', async () => {
    world.script['checkRequest'] = () => {
      throw ApplicationFailure.create({
        type: 'NoBackup',
        nonRetryable: true,
        message: 'there is no backup',
        details: [{ hint: 'take one' }],
      });
    };
    await expect(declare()).resolves.toBeTruthy();
    await until('it was refused', async () => !(await world.lifeboat.locked()), 90, 100);
    expect([...slack.requests, ...pagerduty.requests].filter(({ path }) => !path.endsWith('auth.test'))).toEqual([]);
  });
});
