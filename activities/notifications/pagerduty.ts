import { createHash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import type { Notice } from '../../vocabulary/alert.js';
import { answersWithin, type Channel, type ChannelContext, headline, refused, undelivered } from './channel.js';
import { reason } from './slack.js';

const defaultUrl = 'https://events.pagerduty.com';

/**
 * PagerDuty, by its Events API v2 (developer.pagerduty.com/docs/events-api-v2-overview): an alert triggers and resolves
 * under one dedup_key.
 */
export function pagerduty({ plan, secret }: ChannelContext): Channel | undefined {
  const { pagerduty: settings } = plan.notifications;
  if (!settings) return undefined;
  const url = new URL('v2/enqueue', `${(settings.url ?? defaultUrl).replace(/\/$/, '')}/`);
  return {
    name: 'pagerduty',
    onlyCritical: true,
    // There is no question that it answers without waking somebody.
    async rehearse() {
      if (!/^[A-Za-z0-9]{32}$/.test(await secret(settings.routingKey)))
        throw refused('PagerDuty', 'its routing key is not 32 letters and digits', key);
      await lookup(url.hostname).catch((error: unknown) => {
        throw undelivered(
          'PagerDuty',
          `${url.hostname} is not found (${(error as Error).message})`,
          'Look at the DNS of the control worker.',
        );
      });
      return `${url.hostname} is found and the key has its form; whether it is good, says: lifeboat alerts test`;
    },
    async send(notice) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(eventOf(notice, await secret(settings.routingKey))),
        signal: AbortSignal.timeout(answersWithin),
        redirect: 'manual',
      }).catch((error: unknown) => {
        throw undelivered('PagerDuty', reason(error as Error), away);
      });
      await explain(response);
      return {};
    },
  };
}

const key =
  'Give the control worker the integration key of an Events API v2 integration (notifications.pagerduty.routingKey).';
const away = 'Look at status.pagerduty.com and at the network of the control worker; it is tried again by itself.';

function eventOf(notice: Notice, routingKey: string): object {
  const dedup = `lifeboat/${notice.system}/${notice.key}`;
  return {
    routing_key: routingKey,
    event_action: notice.state === 'raised' ? 'trigger' : 'resolve',
    // 255 characters at most.
    dedup_key: dedup.length <= 255 ? dedup : `lifeboat/${createHash('sha256').update(dedup).digest('hex')}`,
    client: 'Lifeboat',
    payload: {
      summary: headline(notice).slice(0, 1024),
      source: notice.system,
      severity: notice.severity,
      timestamp: notice.at,
      component: notice.key,
      custom_details: { text: notice.text },
    },
  };
}

/** 202 is the only good answer: whatever else answers with 200 is not PagerDuty. */
async function explain(response: Response): Promise<void> {
  const { status } = response;
  const said = (await response.text().catch(() => '')).replace(/\s+/g, ' ').slice(0, 300);
  if (status === 202) return;
  const why = `HTTP ${status}${said ? `: ${said}` : ''}`;
  const after = Number(response.headers.get('retry-after'));
  if (status === 429) throw undelivered('PagerDuty', why, away, after > 0 ? after : undefined);
  if (status >= 500) throw undelivered('PagerDuty', why, away);
  throw refused('PagerDuty', why, status === 400 ? key : 'Is notifications.pagerduty.url right in the plan?');
}
