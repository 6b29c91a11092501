import { parseTarget } from '../vocabulary/target.js';
import type { Abort, Close, Decision, Note, Question } from '../vocabulary/question.js';
import type { IncidentState } from '../vocabulary/incident.js';

/**
 * What a person may say to an incident. Synchronous, so that what is refused leaves no trace in history. Each throws a
 * sentence for that person.
 */

/** Names are compared without regard to case and surrounding space: "Asha " is asha. */
const same = (a: string, b: string): boolean => a.trim().toLowerCase() === b.trim().toLowerCase();

function demandName(by: string): void {
  if (typeof by !== 'string' || by.trim() === '') throw new Error('Say who you are: --as NAME, or set LIFEBOAT_USER.');
}

function demandOpen(state: IncidentState): void {
  if (!['open', 'waiting', 'recovered'].includes(state.phase))
    throw new Error(`Incident ${state.id} is ${state.phase}: there is nothing to decide any more.`);
  demandUndecided(state);
}

const going = {
  abort: 'is being ended',
  'roll-back': 'is about to be rolled back',
  close: 'is being closed',
  cancel: 'is being ended',
};

/** Of two who say how it ends, the first counts: the second is told so, and not that theirs was taken. */
function demandUndecided({ id, leaving }: IncidentState): void {
  if (leaving?.what === 'hand over')
    throw new Error(`Incident ${id} recovered this very moment, and nothing was taken: say it again.`);
  if (leaving?.what === 'escalate')
    throw new Error(
      `Incident ${id} goes over into another scenario this very moment, and nothing was taken: say it again.`,
    );
  if (leaving)
    throw new Error(
      `Incident ${id} ${going[leaving.what]} already, by ${leaving.by}: follow it with lifeboat watch --incident ${id}`,
    );
}

export function validateDecision(state: IncidentState, decision: Decision): void {
  demandName(decision.by);
  demandOpen(state);
  if (decision.choice === 'roll-back') {
    if (!state.canRollBack) throw new Error('Nothing was put in place yet: there is nothing to roll back to.');
    demandReason(decision);
    return;
  }
  const question = questionOf(state, decision);
  const choice = question.choices.find(({ name }) => name === decision.choice);
  if (!choice)
    throw new Error(
      `"${decision.choice}" is not offered here; choose ${question.choices.map(({ name }) => name).join(', ')}.`,
    );
  if (question.kind === 'approval' && !choice.alone && state.approvals > 1 && same(decision.by, state.declaredBy)) {
    throw new Error(
      `The plan asks for two people: ${state.declaredBy} declared this incident, so somebody else must approve.`,
    );
  }
  if (choice.needs.includes('reason')) demandReason(decision);
  if (choice.needs.includes('target')) {
    if (!decision.target) throw new Error(`"${decision.choice}" needs a target: --to TIME, --to LSN, or --to BACKUP.`);
    parseTarget(decision.target);
  }
  // Who answers must have seen what is asked: between their look and their answer another person may have answered, and
  // a new one been asked.
  if (decision.question === undefined && decision.choice !== 'abort')
    throw new Error(
      `Say which question you answer, when you have read it: --question ${question.id}. It is: ${question.text}`,
    );
}

/** The open question that is answered. */
function questionOf({ questions }: IncidentState, { question: id, choice }: Decision): Question {
  const [first] = questions;
  if (!first) {
    const answered = id === undefined ? '' : `Question ${id} is not open: it may have been answered. `;
    throw new Error(`${answered}Nothing is being asked now. See where it is: lifeboat watch`);
  }
  const open = questions
    .map((one) => `question ${one.id} is open now${one.lane === undefined ? '' : ` (${one.lane})`}: ${one.text}`)
    .join('; ');
  if (id === undefined) {
    // Whoever ends it answers none of them.
    if (questions.length === 1 || choice === 'abort') return first;
    throw new Error(
      `Several questions are open. Say which one you answer, when you have read it: --question NUMBER; ${open}`,
    );
  }
  const question = questions.find((one) => one.id === id);
  if (question) return question;
  // Of several, a later one may have been answered before.
  const why = id < first.id ? 'was answered already' : questions.length > 1 ? 'is not open' : 'was not asked yet';
  throw new Error(`Question ${id} ${why}; ${open}`);
}

function demandReason({ choice, reason }: { choice: string; reason?: string | undefined }): void {
  if (!reason || reason.trim() === '') throw new Error(`"${choice}" needs a reason, for the record: --reason "..."`);
}

export function validateAbort(state: IncidentState, { by, reason }: Abort): void {
  demandName(by);
  if (state.phase !== 'open' && state.phase !== 'waiting')
    throw new Error(
      `Incident ${state.id} is ${state.phase}, and cannot be aborted.${state.phase === 'recovered' ? ` To go back: lifeboat decide roll-back --incident ${state.id} --reason "..."` : ''}`,
    );
  demandUndecided(state);
  if (!reason || reason.trim() === '') throw new Error('Say why, for the record: --reason "..."');
}

export function validateNote(state: IncidentState, { by, text, task }: Note): void {
  demandName(by);
  if (text.trim() === '') throw new Error('A note needs a text.');
  // What it knows goes over to where it waits for its tasks: what is said in between would stay behind.
  if (state.leaving?.what === 'hand over' || state.leaving?.what === 'escalate') demandUndecided(state);
  if (!['open', 'waiting', 'recovered'].includes(state.phase))
    throw new Error(`Incident ${state.id} is ${state.phase}, and its report is written: a note would be in no report.`);
  if (task && !state.tasks.some(({ name }) => name === task))
    throw new Error(`There is no task "${task}"; there are ${state.tasks.map(({ name }) => name).join(', ')}.`);
}

export function validateClose(state: IncidentState, { by, leaveTasksOpen }: Close): void {
  demandName(by);
  if (state.phase !== 'recovered')
    throw new Error(
      `Incident ${state.id} is ${state.phase}: only a recovered incident is closed.${state.phase === 'open' || state.phase === 'waiting' ? ' To end it now: lifeboat abort --reason "..."' : ''}`,
    );
  demandUndecided(state);
  const open = state.tasks.filter(({ doneAt }) => !doneAt);
  if (open.length > 0 && !leaveTasksOpen) {
    throw new Error(
      `Tasks are open: ${open.map(({ name }) => name).join(', ')}. Tick each: lifeboat note --incident ${state.id} --task NAME "what was done"; or close all the same: lifeboat close --incident ${state.id} --leave-tasks-open "why"`,
    );
  }
}
