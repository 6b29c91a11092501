import { activityInfo } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { About, Say } from './log.js';

/**
 * A line for each thing done for an incident, and for each that failed: what stands in Temporal's history, too, and is
 * asked for where that is not at hand. It comes after {@link keepSecretsOut}, so that no secret is in what it prints.
 */
export const logActivities =
  (say: Say): ActivityInterceptorsFactory =>
  () => ({
    inbound: {
      async execute(input, next) {
        const began = Date.now();
        const about = aboutOf(input.args[0]);
        const { activityType, attempt } = activityInfo();
        const took = () => `${((Date.now() - began) / 1000).toFixed(1)} s`;
        try {
          const result = await next(input);
          const { summary } = (result ?? {}) as { summary?: unknown };
          if (about.incident !== undefined)
            say(`${activityType} done in ${took()}${typeof summary === 'string' ? `: ${summary}` : ''}`, 'info', about);
          return result;
        } catch (error) {
          say(
            `${activityType} failed after ${took()}, attempt ${attempt}: ${(error as Error).message}`,
            'error',
            about,
          );
          throw error;
        }
      },
    },
  });

function aboutOf(input: unknown): About {
  const { incident, database, component } = (input ?? {}) as {
    incident?: unknown;
    database?: unknown;
    component?: unknown;
  };
  const name = database ?? component;
  return {
    ...(typeof incident === 'string' ? { incident } : {}),
    ...(typeof name === 'string' ? { component: name } : {}),
    step: activityInfo().activityType,
  };
}
