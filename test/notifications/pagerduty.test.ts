import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HttpSink, startHttpSink } from '../../lab/servers/http-sink.js';
import { type Channels, channelsOfPlan, secrets } from '../helpers/channels.js';

describe('PagerDuty', () => {
  let sink: HttpSink;
  let channels: Channels;
  beforeAll(async () => {
    sink = await startHttpSink();
    channels = channelsOfPlan({ pagerduty: { routingKey: 'env:PAGERDUTY_KEY', url: sink.url } });
  });
  beforeEach(() => {
    sink.answer('well');
    sink.requests.length = 0;
  });
  afterAll(() => sink.stop());

  test('an alert triggers and resolves under one key', async () => {
    await channels.send('pagerduty');
    await channels.send('pagerduty', { state: 'resolved' });
    expect(sink.requests.map(({ body }) => [body['event_action'], body['dedup_key']])).toEqual([
      ['trigger', 'lifeboat/shop/backup/logical/main'],
      ['resolve', 'lifeboat/shop/backup/logical/main'],
    ]);
    expect(sink.requests[0]).toMatchObject({
      path: '/v2/enqueue',
      body: {
        routing_key: secrets.PAGERDUTY_KEY,
        payload: { source: 'shop', severity: 'critical', timestamp: '2026-11-21T03:15:00.000Z' },
      },
    });
  });

  test('a key that is too long is shortened, the same way each time', async () => {
    const key = `location/${'very-'.repeat(60)}long`;
    await channels.send('pagerduty', { key });
    await channels.send('pagerduty', { key, state: 'resolved' });
    const [raised, resolved] = sink.requests.map(({ body }) => body['dedup_key'] as string);
    expect(raised).toBe(resolved);
    expect(raised!.length).toBeLessThanOrEqual(255);
  });

  test.each([[{ status: 500 }], [{ status: 503 }]])('%j is tried again', async (answer) => {
    sink.answer(answer);
    expect(await channels.failure('pagerduty')).toMatchObject({ type: 'NoticeUndelivered', nonRetryable: false });
  });

  test('429 is tried again when it says', async () => {
    sink.answer({ status: 429, headers: { 'retry-after': '30' } });
    expect(await channels.failure('pagerduty')).toMatchObject({ type: 'NoticeUndelivered', nextRetryDelay: 30_000 });
  });

  test.each([
    [{ status: 400, body: { status: 'invalid event', errors: ['routing_key'] } }, /routingKey/],
    [{ status: 200, body: 'welcome' }, /pagerduty.url/],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, /pagerduty.url/],
  ])('%j is not: only 202 is an answer of PagerDuty', async (answer, hint) => {
    sink.answer(answer);
    const failed = await channels.failure('pagerduty');
    expect(failed).toMatchObject({ type: 'NoticeRefused', nonRetryable: true });
    expect(failed.details[0].hint).toMatch(hint);
  });

  test('a server that hangs is given up, and tried again', { timeout: 900_000 }, async () => {
    sink.answer('hang');
    expect(await channels.failure('pagerduty')).toMatchObject({
      type: 'NoticeUndelivered',
      message: expect.stringContaining('no answer within 15 s'),
    });
  });

  test('nobody listens: tried again, and said why', async () => {
    const nobody = channelsOfPlan({ pagerduty: { routingKey: 'env:PAGERDUTY_KEY', url: 'http://127.0.0.1:1' } });
    expect(await nobody.failure('pagerduty')).toMatchObject({
      type: 'NoticeUndelivered',
      message: expect.stringMatching(/ECONNREFUSED|bad port/),
    });
  });

  test('no text holds a secret', async () => {
    await channels.send('pagerduty', {
      title: secrets.DB_PASSWORD,
      text: `${secrets.DB_PASSWORD} ${secrets.PAGERDUTY_KEY}`,
    });
    expect(JSON.stringify(sink.requests[0]!.body['payload'])).not.toMatch(
      new RegExp(`${secrets.DB_PASSWORD}|${secrets.PAGERDUTY_KEY}`),
    );
  });

  test('rehearsed, it wakes nobody: the host is looked up, and the form of the key', async () => {
    expect(await channels.check()).toMatchObject([{ result: 'pass' }]);
    expect(sink.requests).toEqual([]);
    process.env['PAGERDUTY_KEY'] = 'not-a-key';
    expect(await channels.check()).toMatchObject([
      { result: 'fail', says: expect.stringContaining('32 letters and digits'), hint: expect.any(String) },
    ]);
    process.env['PAGERDUTY_KEY'] = secrets.PAGERDUTY_KEY;
  });
});
