import { isOpen } from '../../activities/reports/facts.js';
import type { Choice, Question } from '../../vocabulary/question.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import { ofIncident } from '../which-incident.js';

/** The exact command that gives this answer. `…` stands for what only a person knows. */
export function answerCommand(
  choice: Choice,
  commandPrefix: string,
  { declaredAt, mode }: Pick<IncidentState, 'declaredAt' | 'mode'>,
  asked: Pick<Question, 'id'>,
  ellipsis = '…',
): string {
  const reason = choice.needs.includes('reason') || choice.name === 'abort' ? ` --reason "${ellipsis}"` : '';
  const target = choice.needs.includes('target') ? ` --to ${declaredAt.slice(0, 10)}T${ellipsis}Z` : '';
  const words = choice.name === 'approve' || choice.name === 'abort' ? choice.name : `decide ${choice.name}`;
  // An answer is to what stands here: asked anew in the meantime, it is refused. An abort and a roll-back hold whatever
  // is asked.
  const question = choice.name === 'abort' || choice.name === 'roll-back' ? '' : ` --question ${asked.id}`;
  const drill = mode === 'real' ? '' : ' --drill';
  return `${commandPrefix} ${words}${target}${reason}${question}${drill}`;
}

/**
 * Without a name a command means the incident that holds the lock: of any other one, and of a drill, it is printed with
 * its name.
 */
export const ofThis = ({ phase, mode, id }: Pick<IncidentState, 'phase' | 'mode' | 'id'>): string =>
  isOpen(phase) && mode === 'real' ? '' : ofIncident(id);

/** What the `…` of a command stand for, in one line. */
export function whatToFillIn(choices: Choice[], ellipsis = '…'): string | undefined {
  const reason = choices.some((choice) => choice.needs.includes('reason') || choice.name === 'abort');
  const target = choices.some((choice) => choice.needs.includes('target'));
  if (!reason && !target) return undefined;
  const parts = [...(reason ? ['your reason'] : []), ...(target ? ['the time to go back to, in UTC'] : [])];
  return `In place of ${ellipsis} write ${parts.join(', or ')}.`;
}
