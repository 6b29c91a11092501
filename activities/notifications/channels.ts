import { hostsOf } from '../../plan/access.js';
import { secretHider } from '../../plan/hide-secrets.js';
import type { Check } from '../../vocabulary/check.js';
import type { Notice, SendRequest, Sent } from '../../vocabulary/alert.js';
import type { Asked } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { type ControlContext, secretOf } from '../context.js';
import { failure } from '../errors.js';
import type { Channel, ChannelContext } from './channel.js';
import { email } from './email.js';
import { pagerduty } from './pagerduty.js';
import { slack } from './slack.js';

/** Every way to tell people: one line for each. */
const providers: ((context: ChannelContext) => Channel | undefined)[] = [slack, email, pagerduty];

/** The channels of the plan, in the order above. */
const channelsOf = (context: ControlContext): Channel[] =>
  providers.flatMap(
    (provider) => provider({ plan: context.plan, secret: (reference) => secretOf(context, reference) }) ?? [],
  );

export interface Watched {
  channels: { name: string; onlyCritical: boolean }[];
  /** Who is asked for trouble. */
  hosts: string[];
}

/** Whom to tell and whom to ask, as the plan of the control worker says now. */
export const readChannels = (context: ControlContext) => (): Promise<Watched> =>
  Promise.resolve({
    channels: channelsOf(context).map(({ name, onlyCritical }) => ({ name, onlyCritical: onlyCritical === true })),
    hosts: hostsOf(context.plan),
  });

/**
 * Sends one notice over one channel, or proves that it could. Not wrapped as other activities are: it is short, may
 * fail for a day before a person has to know, and is not to be broken off between the sending and the knowing. Throws
 * NoticeRefused, NoticeUndelivered, SecretMissing.
 */
export const sendNotice =
  (context: ControlContext) =>
  async ({ form, channel, notice }: Asked<SendRequest>): Promise<Sent> => {
    const found = channelsOf(context).find(({ name }) => name === channel);
    if (!found)
      throw failure(
        'NoticeRefused',
        `the plan has no channel ${channel}`,
        'It had one: is the plan of every control worker the current one?',
      );
    if (form === 'rehearse') {
      await found.rehearse();
      return {};
    }
    const clean = await cleaned(context, notice);
    await checkpoint('before the notice is sent');
    const sent = await found.send(clean);
    await checkpoint('after the notice was sent');
    return sent;
  };

/** Each channel of the plan rehearsed, as checks of doctor. None in a plan that tells nobody. */
export const checkChannels = (context: ControlContext) => async (): Promise<{ checks: Check[] }> => ({
  checks: await Promise.all(
    channelsOf(context).map(async ({ name, rehearse }): Promise<Check> => {
      const what = `notifications: ${name}`;
      try {
        return { what, result: 'pass', says: await rehearse() };
      } catch (error) {
        const hint = (error as { details?: { hint?: string }[] }).details?.[0]?.hint;
        return { what, result: 'fail', says: (error as Error).message, hint: hint ?? 'Then: lifeboat alerts test' };
      }
    }),
  ),
});

/**
 * Without the plan's secrets, and only then cut to a length that every channel takes: a cut secret would not be known
 * as one.
 */
async function cleaned(context: ControlContext, notice: Notice): Promise<Notice> {
  const hide = await secretHider(context.plan, context.planDirectory);
  const { title, text, key, ...rest } = notice;
  return { ...rest, key: hide(key), title: cut(hide(title).replace(/\s+/g, ' '), 200), text: cut(hide(text), 3000) };
}

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);
