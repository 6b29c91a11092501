import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { Context } from '@temporalio/activity';

/**
 * Where the fault walk (test/faults) kills this process: before and after everything that has an effect. With
 * LIFEBOAT_FAULT_WALK naming a file, the process SIGKILLs itself the first time that it comes to a point which the file
 * does not list; with LIFEBOAT_FAULT_ONLY (a JSON list of how names begin), only at points of that list. Otherwise it
 * does nothing.
 */
export function checkpoint(point: string): Promise<void> {
  const file = process.env['LIFEBOAT_FAULT_WALK'];
  if (!file) return Promise.resolve();
  const name = `${activityType()}: ${point}`;
  const only = process.env['LIFEBOAT_FAULT_ONLY'];
  if (only && !(JSON.parse(only) as string[]).some((begin) => name.startsWith(begin))) return Promise.resolve();
  const visited = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  if (visited.includes(name)) return Promise.resolve();
  appendFileSync(file, `${name}\n`);
  process.kill(process.pid, 'SIGKILL');
  return new Promise(() => undefined);
}

function activityType(): string {
  try {
    return Context.current().info.activityType;
  } catch {
    return 'agent';
  }
}
