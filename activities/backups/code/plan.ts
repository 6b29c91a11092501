import type { Plan } from '../../../plan/schema.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';

/** The code of that name in the plan. Throws BadRequest when it has none. */
export function codeOf({ plan, host }: HostContext, component: string): Plan['code'][string] {
  const found = Object.hasOwn(plan.code, component) ? plan.code[component] : undefined;
  if (found) return found;
  throw failure(
    'BadRequest',
    `the plan of ${host} has no code ${component}`,
    `It has: ${Object.keys(plan.code).join(', ') || 'none'}`,
  );
}
