import { formatClock } from '../activities/reports/times.js';
import type { Incident } from './incident.js';
import { settled } from './incident.js';
import { exitCodes, Expected, printJson, printLine } from './output.js';
import { renderEvents, renderView } from './view.js';
import type { IncidentState, Progress } from '../vocabulary/incident.js';
import type { Globals } from './session.js';

export interface FollowOptions {
  /** Go on although a person is asked; otherwise that ends it where nobody watches a terminal. */
  wait: boolean;
}

/**
 * Follows an incident to its end, or to a question: drawn anew every second in a terminal, as lines elsewhere. A
 * control worker or a Temporal that is away for a while is waited for. Returns the exit code.
 */
export async function follow(incident: Incident, { json, prefix }: Globals, { wait }: FollowOptions): Promise<number> {
  const live = process.stdout.isTTY && !json;
  const draw = live ? (await import('log-update')).default : undefined;
  let last: IncidentState | undefined;
  let lastProgress: Progress[] = [];
  let lastView: string[] = [];
  let silentSince = 0;
  let told = false;
  for (;;) {
    const look = await Promise.all([incident.state(), incident.progress().catch(() => [])]).catch(
      (error: unknown) => error as Error,
    );
    if (look instanceof Error) {
      // Nobody waits for an answer of one that has not given any yet.
      if (!last || look.name === 'WorkflowNotFoundError' || look.name === 'QueryNotRegisteredError') throw look;
      silentSince ||= Date.now();
      if (!told && Date.now() - silentSince > 3000) {
        told = true;
        const says = look instanceof Expected ? look.message : 'The incident does not answer.';
        const notice = `${formatClock(new Date().toISOString())} UTC  ${says} Agents go on with what they do. Start one: lifeboat worker (or everything on this machine: lifeboat up)`;
        if (draw) draw([...lastView, '', notice].join('\n'));
        else if (!json) printLine(notice);
      }
      if (Date.now() - silentSince > 120_000) {
        throw new Expected(
          'The incident has not answered for two minutes; it goes on by itself as soon as Temporal and a control worker run.',
          'Check both: lifeboat doctor. Then: lifeboat watch',
          exitCodes.noAnswer,
        );
      }
    } else {
      silentSince = 0;
      told = false;
      const [state, progress] = look;
      const view =
        draw &&
        renderView({
          state,
          progress,
          now: new Date(),
          width: process.stdout.columns || 80,
          color: colors(),
          commandPrefix: prefix,
        });
      lastView = view ?? [];
      if (view) draw(view.join('\n'));
      else if (!json)
        for (const line of renderEvents(
          last,
          state,
          { before: lastProgress, now: progress },
          { commandPrefix: prefix, now: new Date() },
        ))
          printLine(line);
      last = state;
      lastProgress = progress;
      if (settled(state.phase) || (state.questions.length > 0 && !wait)) {
        // A view that is higher than the terminal was cut at its top while it was redrawn; what stays is whole.
        draw?.clear();
        for (const line of view ?? []) printLine(line);
        draw?.done();
        if (json) printJson(state);
        return codeOf(state);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, live ? 500 : 700));
  }
}

export const colors = (): boolean => process.stdout.isTTY && !process.env['NO_COLOR'];

export function codeOf(state: IncidentState): number {
  if (state.questions.length > 0) return exitCodes.waiting;
  if (state.phase === 'refused') return exitCodes.refused;
  if (state.mode !== 'real' && state.doubts.length > 0) return exitCodes.problems;
  if (state.phase === 'aborted' || state.phase === 'rolled back') return exitCodes.notRecovered;
  return exitCodes.done;
}
