import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type HttpSink, startHttpSink } from '../../lab/servers/http-sink.js';
import { type Channels, channelsOfPlan, secrets } from '../helpers/channels.js';

describe('Slack', () => {
  let sink: HttpSink;
  let channels: Channels;
  beforeAll(async () => {
    sink = await startHttpSink();
    channels = channelsOfPlan({ slack: { token: 'env:SLACK_TOKEN', channel: '#oncall', url: `${sink.url}/api/` } });
  });
  beforeEach(() => {
    sink.answer('well');
    sink.requests.length = 0;
  });
  afterAll(() => sink.stop());

  test('what is raised is a message of its own, and what is resolved goes into its thread', async () => {
    const { thread } = await channels.send('slack');
    const resolved = { state: 'resolved', title: 'the logical backup of main failed', text: 'Taken.' } as const;
    await channels.send('slack', { ...resolved, thread: thread! });
    await channels.send('slack', resolved);
    const [raised, answer, own] = sink.requests;
    expect(raised).toMatchObject({
      path: '/api/chat.postMessage',
      headers: { authorization: `Bearer ${secrets.SLACK_TOKEN}` },
      body: { channel: '#oncall', text: expect.stringContaining('[shop] CRITICAL: the logical backup of main failed') },
    });
    expect(raised!.body).not.toHaveProperty('thread_ts');
    expect(answer!.body).toMatchObject({ thread_ts: thread, text: expect.stringContaining('[shop] resolved: ') });
    expect(own!.body, 'without a thread it is a message of its own').not.toHaveProperty('thread_ts');
  });

  test('when the message that it would answer is gone, it is a message of its own', async () => {
    sink.answer({ status: 200, body: { ok: false, error: 'thread_not_found' } }, 1);
    await channels.send('slack', { state: 'resolved', thread: '1.2' });
    expect(sink.requests.map(({ body }) => body['thread_ts'])).toEqual(['1.2', undefined]);
  });

  test.each([
    [{ status: 500 }, /HTTP 500/],
    [{ status: 200, body: { ok: false, error: 'internal_error' } }, /internal_error/],
  ])('%j is tried again, by Temporal and not in here', async (answer, says) => {
    sink.answer(answer);
    const failed = await channels.failure('slack');
    expect(failed).toMatchObject({
      type: 'NoticeUndelivered',
      nonRetryable: false,
      message: expect.stringMatching(says),
    });
    expect(sink.requests).toHaveLength(1);
  });

  test('429 is tried again when Slack says', async () => {
    sink.answer({ status: 429, headers: { 'retry-after': '7' } });
    expect(await channels.failure('slack')).toMatchObject({
      type: 'NoticeUndelivered',
      nonRetryable: false,
      nextRetryDelay: 7000,
    });
    expect(sink.requests).toHaveLength(1);
  });

  test.each([
    ['invalid_auth', /notifications.slack.token/],
    ['channel_not_found', /notifications.slack.channel/],
  ])('%s is not tried again, and the hint says what to correct', async (error, hint) => {
    sink.answer({ status: 200, body: { ok: false, error } });
    const failed = await channels.failure('slack');
    expect(failed).toMatchObject({
      type: 'NoticeRefused',
      nonRetryable: true,
      message: expect.stringContaining(error),
    });
    expect(failed.details[0].hint).toMatch(hint);
    expect(await channels.check()).toMatchObject([
      { what: 'notifications: slack', result: 'fail', says: expect.stringContaining(error) },
    ]);
  });

  test('a page of whoever else answers there is no answer of Slack', async () => {
    sink.answer({ status: 200, body: '<html>Log in to the hotel</html>' });
    expect(await channels.failure('slack')).toMatchObject({
      type: 'NoticeRefused',
      message: expect.stringContaining('not Slack'),
    });
  });

  test('a server that hangs is given up, and tried again', { timeout: 900_000 }, async () => {
    sink.answer('hang');
    expect(await channels.failure('slack')).toMatchObject({
      type: 'NoticeUndelivered',
      message: expect.stringContaining('no answer within 15 s'),
    });
  });

  test('no text holds a secret of the plan or calls a whole channel, and none is longer than can be read', async () => {
    const leak = `password=${secrets.DB_PASSWORD} token ${encodeURIComponent(secrets.SLACK_TOKEN)} <!channel>`;
    await channels.send('slack', {
      title: `failed: ${leak}`,
      text: `${'x'.repeat(2990)}${secrets.DB_PASSWORD}${'y'.repeat(5000)}`,
      key: secrets.DB_PASSWORD,
    });
    const { text } = sink.requests[0]!.body as { text: string };
    for (const part of [secrets.DB_PASSWORD, secrets.SLACK_TOKEN, 'the-passw', '<!channel>'])
      expect(text).not.toContain(part);
    expect(text).toContain('password=(env:DB_PASSWORD)');
    expect(text.length).toBeLessThan(3500);
  });

  test('rehearsed, it asks whether the token is good and sends nothing', async () => {
    expect(await channels.check()).toEqual([
      { what: 'notifications: slack', result: 'pass', says: 'lifeboat of lab writes to #oncall' },
    ]);
    expect(sink.requests.map(({ path }) => path)).toEqual(['/api/auth.test']);
    sink.answer({ status: 200, body: { ok: true }, headers: { 'x-oauth-scopes': 'users:read' } });
    expect(await channels.check()).toMatchObject([{ result: 'fail', says: expect.stringContaining('chat:write') }]);
  });
});
