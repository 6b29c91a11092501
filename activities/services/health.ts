import { hostAddress } from '../../plan/access.js';
import type { Plan } from '../../plan/schema.js';
import { formatDuration } from '../../vocabulary/units.js';
import { cancelled, looking, progress } from '../capability.js';
import { failure } from '../errors.js';

export interface HealthInput {
  services: string[];
  /**
   * How long one that does not answer is asked again, in seconds; a quarter of a minute by default: it may have been
   * started just now.
   */
  patience?: number;
}

/**
 * Asks each service for its health from outside: over the network, from the control worker. Throws ServiceFailed with
 * every one that is not well.
 */
export const checkHealth = (plan: Plan) =>
  looking<HealthInput, Healthy>(async ({ services, patience = 15 }) => {
    const answers = await Promise.all(targets(plan, services).map((target) => ask(target, patience)));
    const ill = answers.filter((answer) => !answer.ok);
    if (ill.length > 0)
      throw failure(
        'ServiceFailed',
        ill.map(({ says }) => says).join('; '),
        'Look at the log of the service; fix it, then: lifeboat decide retry',
      );
    const since: Record<string, string> = {};
    for (const { service, at } of answers) if ((since[service] ?? '') < at) since[service] = at;
    return {
      summary: answers.length === 0 ? 'the plan names no service to ask' : answers.map(({ says }) => says).join('; '),
      since,
    };
  });

export interface Healthy {
  summary: string;
  /** Service: when it had answered on all of its hosts, ISO 8601. Absent from an older control worker. */
  since?: Record<string, string>;
}

/** Watches the services for as long as the plan says. Throws ServiceFailed at the second failed answer in a row. */
export const watchServices = (plan: Plan) => ({
  /** A rehearsal asks once. */
  rehearse: checkHealth(plan).rehearse,
  async execute({ services }: HealthInput): Promise<{ summary: string }> {
    const seconds = Math.max(0, ...services.map((service) => plan.services[service]?.watch ?? 0));
    const until = Date.now() + seconds * 1000;
    const watched = targets(plan, services);
    let asked = 0;
    let failedInARow = 0;
    // It ends on a good answer only: one that was bad at the last look is looked at once more.
    while (watched.length > 0 && (Date.now() < until || failedInARow > 0)) {
      cancelled()?.throwIfAborted();
      const answers = await Promise.all(watched.map((target) => askOnce(target)));
      asked += answers.length;
      const ill = answers.filter(({ ok }) => !ok);
      failedInARow = ill.length > 0 ? failedInARow + 1 : 0;
      if (failedInARow >= 2)
        throw failure(
          'ServiceFailed',
          `while watched: ${ill.map(({ says }) => says).join('; ')}`,
          'Look at the log of the service; then: lifeboat decide retry',
        );
      const left = Math.max(0, until - Date.now());
      progress({
        what: 'watching',
        percent: Math.round(100 - left / (10 * seconds)),
        secondsLeft: Math.round(left / 1000),
      });
      await new Promise((resolve) => setTimeout(resolve, Math.min(1000, left)));
    }
    return {
      summary: asked === 0 ? 'nothing to watch' : `healthy for ${formatDuration(seconds)}, asked ${asked} times`,
    };
  },
});

interface Asked {
  service: string;
  url: string;
  within: number;
}

function targets(plan: Plan, services: string[]): Asked[] {
  return services.flatMap((service) => {
    const of = plan.services[service];
    return (of?.hosts ?? []).map((host) => ({
      service,
      url: of!.health.url.replaceAll('{host}', hostAddress(plan, host)),
      within: of!.health.within,
    }));
  });
}

interface Answer {
  service: string;
  ok: boolean;
  says: string;
  /** ISO 8601. */
  at: string;
}

/** A service that was just started may need a moment: it is asked again for so many seconds. */
async function ask(target: Asked, patience: number): Promise<Answer> {
  let answer = await askOnce(target);
  for (const until = Date.now() + patience * 1000; !answer.ok && Date.now() < until; answer = await askOnce(target)) {
    cancelled()?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return answer;
}

async function askOnce(asked: Asked): Promise<Answer> {
  const answer = await answerOf(asked);
  return { service: asked.service, at: new Date().toISOString(), ...answer };
}

async function answerOf({ service, url, within }: Asked): Promise<Pick<Answer, 'ok' | 'says'>> {
  const started = Date.now();
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(within * 1000), redirect: 'manual' });
    await response.arrayBuffer();
    const degraded = response.headers.get('x-system-status');
    if (response.ok && degraded !== 'degraded')
      return { ok: true, says: `${service} answers ${response.status} in ${Date.now() - started} ms` };
    return {
      ok: false,
      says: `${service} answers ${response.status}${degraded ? `, and calls itself ${degraded}` : ''}`,
    };
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).name;
    return { ok: false, says: `${service} does not answer at ${new URL(url).origin}: ${cause}` };
  }
}
