import { Context } from '@temporalio/activity';
import type { Progress } from '../vocabulary/incident.js';
import { attempt, signalOf } from './attempts.js';
import { checkpoint } from './checkpoint.js';

/**
 * Something that Lifeboat can do on a host. `execute` does it; `rehearse` proves that it could be done (reaches the
 * host, holds the permission, finds the space) and changes nothing. Both look first at what is there, so that either
 * can be killed and run again.
 */
export interface Capability<Input, Result> {
  rehearse(input: Input): Promise<Result>;
  execute(input: Input): Promise<Result>;
}

export type Asked<Input> = Input & { form: 'execute' | 'rehearse' };

/** A capability that only looks: its rehearsal is the thing itself. */
export function looking<Input, Result>(look: (input: Input) => Promise<Result>): Capability<Input, Result> {
  return { rehearse: look, execute: look };
}

/** Turns a capability into the activity that a workflow calls: heartbeats run by themselves for as long as it works. */
export function activity<Input, Result>(
  capability: Capability<Input, Result>,
): (input: Asked<Input>) => Promise<Result> {
  return async (input) => {
    const beating = setInterval(beat, 1000);
    beat();
    try {
      return await attempt(async () => {
        await checkpoint('begin');
        const result = await (input.form === 'rehearse' ? capability.rehearse(input) : capability.execute(input));
        await checkpoint('end');
        return result;
      });
    } finally {
      clearInterval(beating);
    }
  };
}

const latest = new WeakMap<Context, Progress>();

/** Says how far this activity is; shown by `watch` while it runs. */
export function progress(now: Progress): void {
  const context = current();
  if (context) latest.set(context, now);
  if (context && now.percent !== undefined) void checkpoint(`midway, ${now.what.split(' ', 2).join(' ')}`);
}

/** Aborts when the activity was cancelled, timed out, or is attempted anew: what still runs for it must end. */
export function cancelled(): AbortSignal | undefined {
  const context = current();
  return context && signalOf(context);
}

function beat(): void {
  const context = current();
  context?.heartbeat(latest.get(context));
}

/** The same code runs outside of an activity too: in the agent's own loops and in tests. */
function current(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined;
  }
}
