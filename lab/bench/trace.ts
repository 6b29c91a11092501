import { Context } from '@temporalio/activity';
import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import pg from 'pg';

/**
 * Loaded into an agent with --import, for the benchmark alone: writes down when the programs that an activity starts,
 * and PostgreSQL when it is asked something, are at work. The product knows nothing of it.
 */

export const traceVariable = 'LIFEBOAT_BENCH_TRACE';

/** One line of the trace: from when to when, in milliseconds since 1970. */
export interface Traced {
  activity: string;
  what: string;
  from: number;
  to: number;
}

/** What Lifeboat runs for its own book-keeping counts as Lifeboat's own time, although it is a program. */
const ours = new Set(['ps', 'du']);

const file = process.env[traceVariable];
// An agent starts itself anew once (worker/lean.ts): the second of them is it.
if (file && process.env['LIFEBOAT_LEAN']) {
  // What the agent starts in turn is measured from here, and not slowed down by a trace of its own.
  delete process.env['NODE_OPTIONS'];
  delete process.env[traceVariable];
  traceProgramsInto(file);
  tracePostgresInto(file);
}

function traceProgramsInto(to: string): void {
  subscribe('child_process', (message) => {
    const { process: child } = message as { process: ChildProcess };
    const note = begin(to);
    // A program that is held back until it is written down (activities/run.ts) begins when its gate opens.
    child.once('spawn', () => child.stdio[3]?.once('finish', note.restart));
    child.once('close', () => {
      const [, , , lifeboat, gated] = child.spawnargs;
      const what = basename((lifeboat === 'lifeboat' ? gated : undefined) ?? child.spawnfile);
      if (!ours.has(what)) note.end(what);
    });
  });
}

function tracePostgresInto(to: string): void {
  const client = pg.Client.prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const method of ['connect', 'query', 'end']) {
    const original = client[method]!;
    client[method] = function (this: unknown, ...args: unknown[]) {
      const note = begin(to);
      const result = original.apply(this, args);
      if (result instanceof Promise) {
        result.then(
          () => {
            note.end(`PostgreSQL ${method}`);
          },
          () => {
            note.end(`PostgreSQL ${method}`);
          },
        );
      }
      return result;
    };
  }
}

/** Only within an activity: the agent's own loops (canary, archiving) run beside, and are no part of an incident. */
function begin(to: string): { restart: () => void; end: (what: string) => void } {
  const activity = current();
  let from = now();
  return {
    restart: () => {
      from = now();
    },
    end: (what) => {
      if (activity) appendFileSync(to, `${JSON.stringify({ activity, what, from, to: now() } satisfies Traced)}\n`);
    },
  };
}

const now = (): number => performance.timeOrigin + performance.now();

function current(): string | undefined {
  try {
    return Context.current().info.activityType;
  } catch {
    return undefined;
  }
}
