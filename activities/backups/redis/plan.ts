import type { Plan } from '../../../plan/schema.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';

/** The Redis server of that name in the plan. Throws BadRequest when it has none. */
export function redisOf({ plan, host }: HostContext, component: string): Plan['redis'][string] {
  const found = Object.hasOwn(plan.redis, component) ? plan.redis[component] : undefined;
  if (found) return found;
  throw failure(
    'BadRequest',
    `the plan of ${host} has no Redis server ${component}`,
    `It has: ${Object.keys(plan.redis).join(', ') || 'none'}`,
  );
}
