import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GaveUp } from '../../lab/wait.js';
import { type IncidentState, type Mode, type StepRecord, titleOf } from '../../vocabulary/incident.js';
import { atOnce } from '../helpers/at-once.js';
import { type FakeHosts, fakeHosts, type NthCall, type Script, type Staged } from '../helpers/fake-hosts.js';
import { going } from '../helpers/scripted.js';
import { ownTemporal } from '../helpers/temporal.js';

/**
 * Every decision that the scenario can come to, as a table: each step fails, and everything that is offered then is
 * chosen, for real, in a drill and in a dry run. The steps are those of a run that goes well: a new one is in the table
 * by itself.
 */

const server = ownTemporal();
let hosts: FakeHosts;
beforeAll(async () => {
  hosts = await fakeHosts(server.temporal);
});
afterAll(() => hosts.stop());

/** What brings the scenario to its branches. */
const branches: Record<string, Script> = {
  'a restore': {},
  'a repair': {
    assess: ({ round }: { round: number }) => ({
      ...{ summary: 'indexes', findings: [], damagedIndexes: ['a'], notChecked: [], files: [] },
      classification: round === 1 ? 'repairable' : 'healthy',
    }),
  },
  'wrong data': {
    assess: () => ({
      summary: 'wrong',
      classification: 'logically wrong',
      findings: ['a query'],
      damagedIndexes: [],
      notChecked: [],
      files: [],
    }),
  },
  'one of several databases': {
    lookAtNeighbours: () => ({ summary: 'two', lines: ['billing: 10 rows'], notAlone: null }),
  },
};
const plan = { standbys: ['db1'], services: [{ name: 'web', hosts: ['db1'] }] };

/** In a drill nothing but these is done, in a dry run nothing but the first. The rest is proven to be possible. */
const looks = [
  'readPlan',
  'observeDatabase',
  'checkRequest',
  'listCandidates',
  'behindFence',
  'lookAtNeighbours',
  'lookAtWal',
  'writeReport',
  'copyFigures',
];
const onScratch = ['restoreBeside', 'verifyRestored', 'handOverWal', 'rollBackPrepared', 'discardCopy'];

const fails = () => {
  throw ApplicationFailure.nonRetryable('it failed, says the test', 'CommandFailed', { hint: 'look at the test' });
};

/** Answers what a run that goes well asks: to approve, or which moment to go back to. Gives how it ended. */
async function approveAll(incident: Staged, only: boolean): Promise<IncidentState> {
  const question = await reached(incident, only);
  if (question) throw new Error(`it asks: ${question.text} ${question.problem?.message ?? ''}`);
  return incident.ends();
}

const good = (mode: Mode): IncidentState['phase'] => (mode === 'real' ? 'recovered' : 'closed');

function expectHarmless(incident: Staged, mode: Mode): void {
  if (mode === 'real') return;
  const allowed = mode === 'drill' ? [...looks, ...onScratch] : looks;
  const done = incident.calls.filter(({ activity, form }) => form === 'execute' && !allowed.includes(activity));
  expect(done, `what a ${mode} did and must not`).toEqual([]);
}

const last = (state: IncidentState, name: string): StepRecord | undefined =>
  state.steps.findLast((step) => titleOf(step) === name);

/** What the answer leads to, and what the record says of it. */
async function expectDecided(
  step: string,
  choice: string,
  incident: Staged,
  mode: Mode,
  only: boolean,
  before: Script,
): Promise<void> {
  const reason = `because of ${choice}`;
  // From here on all goes well, but for who goes on without the step.
  if (choice !== 'skip' && choice !== 'done') incident.script = before;
  await incident.answer({ choice, reason, ...(choice === 'restore' ? { target: 'latest' } : {}) });
  const state = await approveAll(incident, only);
  const said = `${step}, ${choice}, ${mode}: ${state.ending ?? ''}`;
  const record = state.steps.find(
    (one) => titleOf(one) === step && one.decision !== undefined && one.decision.choice === choice,
  );
  if (choice === 'abort') expect(state.phase, said).toBe('aborted');
  else if (choice === 'roll-back') expect(state.phase, said).toBe('rolled back');
  else expect(state.phase, said).toBe(good(mode));
  if (choice === 'abort' || choice === 'roll-back') expect(JSON.stringify(state.notes), said).toContain(reason);
  else expect(record?.decision, said).toMatchObject({ by: 'asha', choice, reason });
  if (choice === 'skip') expect(record?.status, said).toBe('skipped');
  if (choice === 'done') expect(record?.status, said).toBe('by hand');
  if (choice === 'retry') expect(last(state, step)?.status, said).toBe('done');
  expectHarmless(incident, mode);
}

/** Of branches before: what is the same is not walked again. */
const covered = new Set<string>();

describe.each(Object.entries(branches))('%s', (branch, script) => {
  const only = branch === 'one of several databases';
  let steps: Map<string, NthCall>;
  beforeAll(async () => {
    const incident = await hosts.stage({ mode: 'real', script, plan });
    expect((await approveAll(incident, only)).phase).toBe('recovered');
    const all = await hosts.stepsOf(incident);
    steps = new Map([...all].filter(([step]) => !covered.has(step)));
    for (const step of all.keys()) covered.add(step);
    // Read before the first step, and after an answer.
    steps.delete('database-corruption');
  });

  test.each(['real', 'drill', 'dry-run'] as const)(
    '%s: each step fails, and each choice that is offered leads to its end',
    async (mode) => {
      const table = [...steps].map(([step, { activity, nth }]) => async (): Promise<string[]> => {
        const begin = () => {
          let calls = 0;
          const gives = script[activity] ?? going[activity]!;
          const failing = (input: never): unknown => ((calls += 1) < nth ? gives(input) : fails());
          return hosts.stage({ mode, script: { ...script, [activity]: failing }, plan });
        };
        const first = await begin();
        const question = await reached(first, only);
        // In a drill or a dry run the branch may not come to this step.
        if (!question) return [];
        const choices = question.choices.map(({ name }) => name);
        expect(titleOf({ ...question, name: question.step })).toBe(step);
        expect(question.problem, step).toMatchObject({
          type: 'CommandFailed',
          message: 'it failed, says the test',
          hint: 'look at the test',
        });
        expect(choices, step).toEqual(expect.arrayContaining(['retry', 'abort']));
        for (const [n, choice] of choices.entries()) {
          const incident = n === 0 ? first : await begin();
          if (n > 0) await reached(incident, only);
          await expectDecided(step, choice, incident, mode, only, script);
        }
        return choices.map((choice) => `${step}: ${choice}`);
      });
      const cases = (await atOnce(table, 12)).flat();
      // A branch that is no other for what it does adds questions alone; the one database is put back for real alone.
      expect(cases.length > 0, `new steps of ${branch}: ${[...steps.keys()].join(', ')}`).toBe(
        steps.size > 0 && (mode === 'real' || !only),
      );
    },
  );

  test('each question, with one person and with two: whoever declared it may not approve alone where two are needed', async () => {
    const asked = async (approvals: number) => {
      const incident = await hosts.stage({ mode: 'real', script, plan: { ...plan, approvals } });
      return { incident, question: await reached(incident, only, 'not even an approval') };
    };
    const { question, incident: first } = await asked(1);
    if (!question) return;
    await first.answer({ choice: 'abort', reason: 'the next one is asked' });
    const each = [1, 2].flatMap((approvals) =>
      question.choices.map(({ name: choice, needs }) => async () => {
        const { incident } = await asked(approvals);
        const reason = needs.includes('reason') ? { reason: 'a test' } : {};
        const says = { choice, ...reason, ...(needs.includes('target') ? { target: 'latest' } : {}) };
        const counts = approvals > 1 && (choice === 'approve' || choice === 'only');
        if (counts)
          await expect(incident.answer({ ...says, by: 'ben' }), `${choice} by who declared it`).rejects.toThrow();
        await incident.answer({ ...says, by: counts ? 'asha' : 'ben' });
        const state = await approveAll(incident, false);
        expect(state.phase, `${choice}, ${approvals} people`).toBe(choice === 'abort' ? 'aborted' : 'recovered');
        if (choice !== 'abort')
          expect(state.steps.find(({ decision }) => decision)?.decision).toMatchObject({
            by: counts ? 'asha' : 'ben',
            choice,
          });
      }),
    );
    await atOnce(each, 12);
  });
});

/** Approves until a step fails and asks; undefined when it ends before. */
async function reached(
  incident: Staged,
  only: boolean,
  until: 'a step fails' | 'not even an approval' = 'a step fails',
) {
  for (;;) {
    const question = await incident.question().catch((error: unknown) => {
      if (!(error instanceof GaveUp)) throw error;
    });
    if (!question || question.kind === 'decision' || until === 'not even an approval') return question;
    if (question.step === 'Choose the target') await incident.answer({ choice: 'restore', target: 'latest' });
    else
      await incident.answer({
        choice: only && question.choices.some(({ name }) => name === 'only') ? 'only' : 'approve',
      });
  }
}
