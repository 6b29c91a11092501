import {
  LogLevel,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebAPIRequestError,
  WebClient,
} from '@slack/web-api';
import type { Notice, Sent } from '../../vocabulary/alert.js';
import { answersWithin, type Channel, type ChannelContext, headline, refused, undelivered } from './channel.js';

/**
 * Slack, by a bot: chat.postMessage (docs.slack.dev/reference/methods/chat.postMessage). What is resolved is said in
 * the thread of what was raised.
 */
export function slack({ plan, secret }: ChannelContext): Channel | undefined {
  const { slack: settings } = plan.notifications;
  if (!settings) return undefined;
  const client = async () =>
    new WebClient(await secret(settings.token), {
      ...(settings.url ? { slackApiUrl: settings.url } : {}),
      // Temporal tries again, and keeps count.
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      timeout: answersWithin,
      allowAbsoluteUrls: false,
      // It would print what it sends.
      logger: quiet,
    });
  const say = async (notice: Notice, thread: string | undefined): Promise<Sent> => {
    const { ts } = await (
      await client()
    ).chat.postMessage({
      channel: settings.channel,
      text: `*${escaped(headline(notice))}*\n${escaped(notice.text)}`,
      unfurl_links: false,
      unfurl_media: false,
      ...(thread ? { thread_ts: thread } : {}),
    });
    return ts ? { thread: ts } : {};
  };
  return {
    name: 'slack',
    async rehearse() {
      const { user, team, response_metadata } = await (await client()).auth.test().catch(explain);
      if (response_metadata?.scopes && !response_metadata.scopes.includes('chat:write'))
        throw refused(
          'Slack',
          'its token lacks the scope chat:write',
          'Add the scope to the app, and install it anew.',
        );
      return `${user ?? 'the bot'} of ${team ?? 'the workspace'} writes to ${settings.channel}`;
    },
    send: (notice) =>
      say(notice, notice.state === 'resolved' ? notice.thread : undefined)
        .catch((error: unknown) => {
          // Somebody removed the message that it would answer.
          if (platformError(error) === 'thread_not_found') return say(notice, undefined);
          throw error;
        })
        .catch(explain),
  };
}

/** Slack reads <...> as links and mentions: a text must not call a whole channel. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const platformError = (error: unknown): string | undefined =>
  error instanceof WebAPIPlatformError ? error.data.error : undefined;

/** What passes by itself; every other answer of the API is a refusal. */
const passing = [
  'ratelimited',
  'rate_limited',
  'message_limit_exceeded',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
];

function explain(error: unknown): never {
  const away = 'Look at status.slack.com and at the network of the control worker; it is tried again by itself.';
  if (error instanceof WebAPIRateLimitedError) throw undelivered('Slack', 'it asks us to wait', away, error.retryAfter);
  if (error instanceof WebAPIHTTPError) {
    if (error.statusCode < 500 && error.statusCode !== 429)
      throw refused('Slack', `HTTP ${error.statusCode}`, 'Is notifications.slack.url right in the plan?');
    throw undelivered('Slack', `HTTP ${error.statusCode}`, away);
  }
  const code = platformError(error);
  if (code !== undefined) {
    if (passing.includes(code)) throw undelivered('Slack', code, away);
    // What is no error code is a page of whoever else answers there.
    if (!/^[a-z_]{1,60}$/.test(code))
      throw refused('Slack', 'what answers there is not Slack', 'Is notifications.slack.url right in the plan?');
    throw refused('Slack', code, hints[code] ?? `Look it up: docs.slack.dev, chat.postMessage, ${code}.`);
  }
  if (error instanceof WebAPIRequestError) throw undelivered('Slack', reason(error.original), away);
  // p-retry wraps what is not tried again.
  throw error instanceof Error && /Retry header|rate limit/i.test(error.message)
    ? undelivered('Slack', 'it asks us to wait', away)
    : error;
}

/** `fetch failed` says nothing; its cause does. */
export function reason(error: Error): string {
  const { cause } = error;
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return `no answer within ${answersWithin / 1000} s`;
  return cause instanceof Error
    ? cause.message || ((cause as NodeJS.ErrnoException).code ?? error.message)
    : error.message;
}

const token = 'Give the control worker a token that is good (notifications.slack.token), and start it again.';
const hints: Record<string, string> = {
  invalid_auth: token,
  not_authed: token,
  account_inactive: token,
  token_revoked: token,
  token_expired: token,
  channel_not_found:
    'Correct notifications.slack.channel in the plan; for a private channel, invite the bot first: /invite @bot.',
  not_in_channel: 'Invite the bot into the channel: /invite @bot.',
  is_archived: 'The channel is archived: name another one in the plan.',
  missing_scope: 'Add the scope chat:write to the app, and install it anew.',
};

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => LogLevel.ERROR,
  setName: () => undefined,
};
