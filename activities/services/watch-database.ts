import type { Capability } from '../capability.js';
import { cancelled, progress } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { beatOnce, pause } from '../postgres/canary.js';
import { clusterOf } from '../postgres/cluster.js';
import { answers } from '../postgres/connect.js';

export interface WatchDatabaseInput {
  database: string;
  services: string[];
  /** Look at it once only. */
  once?: boolean;
}

/**
 * Watches the database for as long as the plan watches its services, and once where it has none: that it answers and
 * takes a write, which is the canary's. Throws ServerFailed at the second look in a row that fails; nothing is started
 * here.
 */
export const watchDatabase = (context: HostContext): Capability<WatchDatabaseInput, { summary: string }> => ({
  async rehearse({ database }) {
    return {
      summary: `${database} ${(await answers(clusterOf(context, database))) ? 'answers' : 'does not answer now'}`,
    };
  },
  async execute({ database, services, once = false }) {
    const cluster = clusterOf(context, database);
    const seconds = once ? 0 : Math.max(0, ...services.map((service) => context.plan.services[service]?.watch ?? 0));
    const signal = cancelled() ?? new AbortController().signal;
    const until = Date.now() + seconds * 1000;
    let looked = 0;
    let failedInARow = 0;
    do {
      signal.throwIfAborted();
      const wrong = await beatOnce(cluster).then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      looked += 1;
      failedInARow = wrong ? failedInARow + 1 : 0;
      if (wrong && failedInARow >= 2)
        throw failure(
          'ServerFailed',
          `${database} does not take writes on ${context.host} any more: ${wrong.message}`,
          `Look at its log on ${context.host}. To start it and its services again and watch once more: lifeboat decide retry`,
        );
      const left = Math.max(0, until - Date.now());
      if (seconds > 0)
        progress({
          what: `watching ${database}`,
          percent: Math.round(100 - left / (10 * seconds)),
          secondsLeft: Math.round(left / 1000),
        });
      // It ends on a good look only.
      if (left > 0 || failedInARow > 0) await pause(failedInARow > 0 ? 1000 : Math.min(2000, left), signal);
    } while (Date.now() < until || failedInARow > 0);
    return { summary: `${database} takes writes, looked at ${looked} ${looked === 1 ? 'time' : 'times'}` };
  },
});
