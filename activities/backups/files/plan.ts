import type { Plan } from '../../../plan/schema.js';
import type { HostContext } from '../../context.js';
import { failure } from '../../errors.js';

/** The files of that name in the plan. Throws BadRequest when it has none. */
export function filesOf({ plan, host }: HostContext, component: string): Plan['files'][string] {
  const found = Object.hasOwn(plan.files, component) ? plan.files[component] : undefined;
  if (found) return found;
  throw failure(
    'BadRequest',
    `the plan of ${host} has no files ${component}`,
    `It has: ${Object.keys(plan.files).join(', ') || 'none'}`,
  );
}
