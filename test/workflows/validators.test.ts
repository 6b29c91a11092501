import { describe, expect, test } from 'vitest';
import type { Decision, Question } from '../../vocabulary/question.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import { validateAbort, validateClose, validateDecision, validateNote } from '../../workflows/validators.js';

const approval: Question = {
  id: 3,
  kind: 'approval',
  step: 'Approve',
  text: 'Put the restored copy in place?',
  facts: [],
  askedAt: '2026-11-21T03:15:00.000Z',
  choices: [
    { name: 'approve', meaning: 'put it in place', needs: [] },
    { name: 'restore', meaning: 'to another target', needs: ['target'], alone: true },
    { name: 'abort', meaning: 'end it', needs: ['reason'], alone: true },
  ],
};

function incident(changes: Partial<IncidentState> = {}): IncidentState {
  return {
    id: 'shop-20261121-031502',
    phase: 'waiting',
    declaredBy: 'asha',
    approvals: 1,
    canRollBack: false,
    questions: [approval],
    tasks: [],
    ...changes,
  } as IncidentState;
}
const without = (state: IncidentState) => ({ ...state, questions: [] });

describe('a decision', () => {
  const says = (state: IncidentState, decision: Partial<Parameters<typeof validateDecision>[1]>) => () => {
    validateDecision(state, { by: 'ben', choice: 'approve', question: 3, ...decision });
  };

  test('is taken when it is offered', () => {
    expect(says(incident(), {})).not.toThrow();
    expect(says(incident(), { question: 3 })).not.toThrow();
  });

  test.each(['', '   ', '\t'])('needs a name, and %j is none', (by) => {
    expect(says(incident(), { by })).toThrow('Say who you are');
  });

  test('is refused when nothing is asked', () => {
    expect(says(without(incident({ phase: 'open' })), {})).toThrow('Nothing is being asked now');
  });

  test.each(['closed', 'refused', 'aborted', 'rolled back'] as const)('is refused when the incident is %s', (phase) => {
    expect(says(incident({ phase }), {})).toThrow(`is ${phase}`);
  });

  test('is refused when it answers another question, and says which one is open', () => {
    expect(says(incident(), { question: 2 })).toThrow(
      /Question 2 was answered already; question 3 is open now: Put the restored/,
    );
    expect(says(incident(), { question: 4 })).toThrow(/Question 4 was not asked yet; question 3 is open now/);
  });

  test('is refused without the number of its question; an abort and a roll-back hold whatever is asked', () => {
    const unnumbered = (decision: Partial<Decision>) => () => {
      validateDecision(incident({ canRollBack: true }), { by: 'ben', choice: 'approve', ...decision });
    };
    expect(unnumbered({})).toThrow(
      /Say which question you answer, when you have read it: --question 3\. It is: Put the restored copy/,
    );
    expect(unnumbered({ choice: 'restore', target: 'latest' })).toThrow('Say which question you answer');
    expect(unnumbered({ choice: 'abort', reason: 'x' })).not.toThrow();
    expect(unnumbered({ choice: 'roll-back', reason: 'x' })).not.toThrow();
  });

  test('is refused when it is decided already how the incident ends, and says by whom', () => {
    const leaving = incident({ leaving: { what: 'abort', by: 'dee' }, canRollBack: true });
    expect(says(leaving, {})).toThrow(/is being ended already, by dee/);
    expect(says(leaving, { choice: 'roll-back', reason: 'x' })).toThrow(/is being ended already, by dee/);
    expect(() => validateAbort(leaving, { by: 'ben', reason: 'x', resume: true })).toThrow(
      /is being ended already, by dee/,
    );
    const closing = incident({ phase: 'recovered', leaving: { what: 'close', by: 'dee' }, canRollBack: true });
    expect(() => validateClose(closing, { by: 'ben' })).toThrow(/is being closed already, by dee/);
    expect(says(closing, { choice: 'roll-back', reason: 'x' })).toThrow(/is being closed already, by dee/);
  });

  test('is refused when it is not offered, and says what is', () => {
    expect(says(incident(), { choice: 'skip', reason: 'no time' })).toThrow(
      '"skip" is not offered here; choose approve, restore, abort.',
    );
  });

  test('needs its reason and its target', () => {
    expect(says(incident(), { choice: 'abort', reason: ' ' })).toThrow('needs a reason');
    expect(says(incident(), { choice: 'restore' })).toThrow('needs a target');
    expect(says(incident(), { choice: 'restore', target: '2026-11-21T03:15:00' })).toThrow('has no offset');
    expect(says(incident(), { choice: 'restore', target: '2026-11-21T03:15:00Z' })).not.toThrow();
  });

  test('roll-back needs something to roll back to', () => {
    expect(says(incident(), { choice: 'roll-back', reason: 'worse' })).toThrow('nothing to roll back to');
    expect(says(incident({ canRollBack: true, phase: 'recovered' }), { choice: 'roll-back' })).toThrow(
      'needs a reason',
    );
    expect(
      says(incident({ canRollBack: true, phase: 'recovered' }), { choice: 'roll-back', reason: 'worse' }),
    ).not.toThrow();
  });
});

describe('field note 18: self-approval, and approvals without identity', () => {
  const two = incident({ approvals: 2 });
  test.each(['asha', 'Asha', ' ASHA '])('who declared it may not approve, also as %j', (by) => {
    expect(() => validateDecision(two, { by, choice: 'approve' })).toThrow(
      'The plan asks for two people: asha declared this incident',
    );
  });
  test('nor choose what a scenario offers and does not say to be harmless', () => {
    const choices = [...approval.choices, { name: 'promote', meaning: 'promote it, and lose that much', needs: [] }];
    const asked = incident({ approvals: 2, questions: [{ ...approval, choices }] });
    expect(() => validateDecision(asked, { by: 'asha', choice: 'promote', question: 3 })).toThrow(
      'somebody else must approve',
    );
  });
  test('somebody else may', () => {
    expect(() => validateDecision(two, { by: 'ben', choice: 'approve', question: 3 })).not.toThrow();
  });
  test('where one person is enough, who declared it may', () => {
    expect(() => validateDecision(incident(), { by: 'asha', choice: 'approve', question: 3 })).not.toThrow();
  });
  test('who declared it may still abort, which puts nothing in place', () => {
    expect(() => validateDecision(two, { by: 'asha', choice: 'abort', reason: 'a false alarm' })).not.toThrow();
  });
});

describe('abort, note and close', () => {
  test('a recovered incident is not aborted, and how to go back is said', () => {
    expect(() => validateAbort(incident({ phase: 'recovered' }), { by: 'ben', reason: 'x', resume: false })).toThrow(
      /decide roll-back/,
    );
    expect(() => validateAbort(incident(), { by: 'ben', reason: '', resume: false })).toThrow('Say why');
    expect(() => validateAbort(incident(), { by: '', reason: 'x', resume: false })).toThrow('Say who you are');
  });

  test('a note has a text, a name, and a task that there is', () => {
    const state = incident({ tasks: [{ name: 'debrief', text: 'Hold the debrief' }] });
    expect(() => validateNote(state, { by: 'ben', text: ' ' })).toThrow('needs a text');
    expect(() => validateNote(state, { by: ' ', text: 'x' })).toThrow('Say who you are');
    expect(() => validateNote(state, { by: 'ben', text: 'x', task: 'party' })).toThrow(
      'no task "party"; there are debrief',
    );
    expect(() => validateNote(state, { by: 'ben', text: 'x', task: 'debrief' })).not.toThrow();
    expect(() => validateNote({ ...state, phase: 'closed' }, { by: 'ben', text: 'x' })).toThrow(
      /is closed, and its report is written/,
    );
  });

  test('an incident is closed when it is recovered and its tasks are done, or left open with a reason', () => {
    const open = incident({ phase: 'recovered', tasks: [{ name: 'debrief', text: 'Hold the debrief' }] });
    expect(() => validateClose(open, { by: 'ben' })).toThrow(/Tasks are open: debrief/);
    expect(() => validateClose(open, { by: 'ben', leaveTasksOpen: 'on Monday' })).not.toThrow();
    expect(() => validateClose(incident(), { by: 'ben' })).toThrow('only a recovered incident is closed');
  });
});
