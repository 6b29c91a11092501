import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  makeContinueAsNewFunc,
  ParentClosePolicy,
  patched,
  startChild,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control.js';
import type { Serves } from '../scenarios/scenario.js';
import type { Ending, Patience } from '../steps/step.js';
import { type ComponentFacts, newComponent } from '../vocabulary/component.js';
import type { Carried, IncidentInput } from '../vocabulary/declaration.js';
import type { Phase } from '../vocabulary/incident.js';
import { newsOf } from '../vocabulary/news.js';
import { drillWorkflowId, incidentWorkflowId, recoveredWorkflowId, workflowTypeOf } from '../vocabulary/names.js';
import type { ScenarioName } from '../vocabulary/scenario.js';
import { inPlan, type Observation } from '../vocabulary/topology.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import type { Problem } from '../vocabulary/question.js';
import { onControl } from './activities.js';
import { Branch } from './branch.js';
import { Conversation, now } from './conversation.js';
import { problemOf } from './problems.js';
import { identityAttributes, incidentAttributes } from './search-attributes.js';
import { observeHosts, severalPrimaries } from './shared/topology.js';
import { takenSteps } from './taken.js';
import { Telling } from './telling.js';

/** What every scenario shares: the plan, the timeline of steps, what a failed step asks, and the clock. */

export class Incident extends Conversation {
  private facts: PlanFacts | undefined;

  /** What the scenario works with. */
  readonly main = new Branch(this);

  /** Reads the control worker's plan. Throws when it has no such database. */
  async readPlan(): Promise<void> {
    const { input, state } = this;
    if (input.carried) return;
    const plan = await onControl(input.system, 'look', `${input.scenario}: reading the plan`)
      .readPlan({ form: 'execute', database: input.database })
      .catch((error: unknown) => this.refuse(problemOf(error)));
    this.facts = await this.withPrimary(plan);
    // One that was declared before there was this goes on without.
    if (patched('identity')) upsertSearchAttributes(identityAttributes(state, this.plan.primary));
    if (this.real) await this.endDrill();
    Object.assign(state, { objectives: plan.objectives, approvals: plan.approvals, planDigest: plan.planDigest });
    state.components = componentsOf(plan).map(newComponent);
    if (plan.planDigest !== input.planDigest)
      this.warn(`the control worker has plan ${plan.planDigest}, the incident was declared with ${input.planDigest}`);
  }

  /**
   * Goes by what its hosts are now: after a promotion by hand the plan says where the database was. Two primaries are
   * for a person to part first.
   */
  private async withPrimary(plan: PlanFacts): Promise<PlanFacts> {
    if (plan.standbys.length === 0 || !patched('observed')) return plan;
    const { database, primary: planned } = plan;
    const found = await observeHosts(this.input.system, database, plan, `${this.input.scenario}: who is the primary`);
    if (found.primaries.length > 1) this.refuse(severalPrimaries(database, found));
    const { primary, seen } = found;
    // What another one that is a primary has may be nowhere else. One that nobody could ask is dealt with by its step.
    const follow = (host: string) =>
      seen[host]?.role !== 'primary' && (host !== planned || seen[host]?.role === 'standby');
    const standbys = found.others.filter(follow);
    const apart = found.others.filter((host) => !follow(host));
    this.warn(...apart.map((host) => `${leftAlone(host, database, seen[host])}: nothing of it is touched`));
    if (primary === planned) return apart.length === 0 ? plan : { ...plan, standbys };
    this.warn(
      `the plan is out of date: ${primary} is the primary of ${database}, and not ${planned}; this incident works on ${primary}. Correct the plan: ${inPlan(database, found)}`,
    );
    return { ...plan, primary, standbys, planned };
  }

  /** A drill that runs gives way: it would take disk, time and the databases' attention from a real incident. */
  private async endDrill(): Promise<void> {
    await getExternalWorkflowHandle(drillWorkflowId(this.input.system))
      .cancel()
      .catch(() => undefined);
  }

  /**
   * Recovered, it waits for its tasks beside the lock of the system, which ends with this run: the next disaster may
   * come before the debrief. To be rolled back, it takes the lock again. Between the two nothing is taken from anybody.
   * Throws WorkflowExecutionAlreadyStartedError.
   */
  async handOver(rollBack?: Carried['rollBack']): Promise<void> {
    const { input, state } = this;
    state.leaving ??= { what: 'hand over', by: 'Lifeboat' };
    const { leaving: _, ...known } = state;
    const carried: Carried = { state: known, plan: this.plan, asked: this.asked, ...(rollBack ? { rollBack } : {}) };
    await startChild(workflowTypeOf(input.scenario), {
      workflowId: rollBack ? incidentWorkflowId(input.system) : recoveredWorkflowId(input.system, state.id),
      args: [{ ...input, carried } satisfies IncidentInput],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      ...this.knownBy(input, rollBack ? 'open' : 'recovered'),
      staticSummary: `${input.scenario} of ${input.database}, declared by ${state.declaredBy}: ${rollBack ? 'rolled back' : 'its tasks'}`,
    });
    if (!rollBack) delete state.leaving;
  }

  /** Its history has become long while it waits for its tasks: it goes on in a new run, as Temporal suggests. */
  startAnew(): Promise<never> {
    const { input, state, plan, asked } = this;
    return this.continueAs({ ...input, carried: { state, plan, asked } }, 'recovered');
  }

  /** In a new run under the same workflow ID. */
  private continueAs(next: IncidentInput, phase: Phase): Promise<never> {
    return makeContinueAsNewFunc<(input: IncidentInput) => Promise<unknown>>({
      workflowType: workflowTypeOf(next.scenario),
      ...this.knownBy(next, phase),
    })(next);
  }

  /** By what each of its runs is found and named: the start of a later one is not the moment of its declaration. */
  private knownBy(input: IncidentInput, phase: Phase) {
    const { id, declaredAt } = this.state;
    return {
      memo: { incident: id, declaredAt },
      typedSearchAttributes: [
        ...incidentAttributes(input, phase),
        ...identityAttributes(this.state, this.plan.primary),
      ],
    };
  }

  /**
   * Goes over into another scenario under the same workflow ID: the lock of the system is not given up for a moment.
   */
  async goOver(scenario: string): Promise<never> {
    const { input, state } = this;
    // Who declared it may be waiting for the answer still.
    this.accept();
    this.warn(`it went over from ${input.scenario} into ${scenario}`);
    // What is said from here on would be said to a run that ends.
    state.leaving = { what: 'escalate', by: 'Lifeboat' };
    await this.nonCancellable(() => condition(allHandlersFinished));
    const { leaving: _, ...known } = state;
    const carried: Carried = { state: known, plan: this.plan, asked: this.asked, goesOn: true };
    return this.continueAs({ ...input, scenario: scenario as ScenarioName, carried }, 'open');
  }

  /** Of a request that is refused at its check nobody is woken. */
  protected tellPeople(): void {
    const { input, state, checked } = this;
    const facts = this.facts ?? input.carried?.plan;
    if (!this.real || !facts?.tells || checked === undefined || checked.answer === 'refused') return;
    if (patched('communications')) this.telling.tell(newsOf(state, now()));
  }
  private get telling(): Telling {
    return (this.teller ??= new Telling(this.input.system, this.state.id, this.input.carried !== undefined));
  }
  /** Needed while it is being constructed, when what was said before is heard: it must not be set anew after that. */
  declare private teller: Telling | undefined;

  override async finished(): Promise<void> {
    await super.finished();
    await this.telling.finished();
  }

  /** What the plan says, in names and numbers. */
  get plan(): PlanFacts {
    // Replayed, an answer may be heard before this run has done anything at all: what was carried over is there from
    // its first moment on.
    const facts = this.facts ?? this.input.carried?.plan;
    if (!facts) throw ApplicationFailure.nonRetryable('the plan was not read yet');
    return facts;
  }

  /** What was asked for can be done. */
  accept(): void {
    this.checked ??= this.declared('accepted');
    this.tellPeople();
  }

  refuse(problem: Problem): never {
    this.settle('refused', 'nothing was changed');
    this.checked = this.declared('refused', problem);
    throw ApplicationFailure.create({
      type: 'Refused',
      nonRetryable: true,
      message: problem.message,
      details: [{ hint: problem.hint }],
    });
  }

  control(patience: Patience): ControlActivities {
    return onControl(this.input.system, patience, this.current?.name ?? this.input.scenario);
  }

  /**
   * Leaves everything in a safe state, the last step first, and says in which. Never throws for what it cannot reach:
   * it says that too.
   */
  async settleAll(ending: Ending): Promise<string[]> {
    const said: string[] = [];
    for (const { step, lane, on } of takenSteps(this.scenario, this.state, this.plan).reverse()) {
      if (!step.settle || (!this.real && step.touches !== 'scratch')) continue;
      try {
        said.push(...(await step.settle(new Branch(this, lane).at(step.touches), on, ending)));
      } catch (error) {
        said.push(`${step.name}: what it began may not be safe (${problemOf(error).message})`);
      }
    }
    return said;
  }

  /** The last step that put something in place. */
  private lastPlaced() {
    return takenSteps(this.scenario, this.state, this.plan).findLast(({ step }) => step.undo);
  }

  /** Throws, before anything is stopped, when what is in place is not what this incident put there. Changes nothing. */
  async mayUndo(): Promise<void> {
    const last = this.lastPlaced();
    await last?.step.mayUndo?.(this.main.at('nothing'), last.on);
  }

  /** Takes back what was put in place. Returns what is so then. */
  async undo(): Promise<string> {
    // Once is enough: a second one would end the first in its middle.
    this.state.canRollBack = false;
    const last = this.lastPlaced();
    if (!last)
      throw ApplicationFailure.nonRetryable('nothing was put in place by a step that can be taken back', 'BadRequest');
    const { step, on } = last;
    this.state.ahead = step.undo!.map(({ name }) => name);
    for (const one of step.undo!) await this.main.do(one, on);
    return step.undone ?? 'it was taken back';
  }

  /**
   * While a person was asked, the plan may have been fixed: the incident goes on with it, and says so. Who declared it
   * and how many people approve stays as it was, and so does the host that it works on.
   */
  protected async afterAnswer(): Promise<void> {
    const { input, state, plan } = this;
    const now = await onControl(input.system, 'look', `${input.scenario}: reading the plan again`)
      .readPlan({ form: 'execute', database: input.database })
      .catch((error: unknown) => {
        if (isCancellation(error)) throw error;
        this.warn(
          `the plan cannot be read any more, and the incident goes on with ${plan.planDigest}: ${problemOf(error).message}`,
        );
        return undefined;
      });
    if (!now || now.planDigest === state.planDigest) return;
    const { primary, standbys, planned } = plan;
    if (now.primary !== primary && now.primary !== planned) {
      const why = planned === undefined ? `as plan ${plan.planDigest} says` : 'which was the primary when it began';
      this.warn(
        `plan ${now.planDigest} names ${now.primary} as the primary: this incident goes on on ${primary}, ${why}`,
      );
      return;
    }
    this.warn(
      `the plan was changed in the middle of this incident: it was ${state.planDigest}, and goes on with ${now.planDigest}`,
    );
    // What was found of its hosts stays so, also when the plan says it by now.
    this.facts = planned === undefined ? now : { ...now, primary, standbys, planned };
    Object.assign(state, { objectives: now.objectives, planDigest: now.planDigest });
    for (const { name, objectives } of componentsOf(now)) {
      const found = state.components.find((one) => one.name === name);
      if (found) found.objectives = objectives;
    }
  }

  /**
   * The moment from which components are verified to serve: their RTO. Without a verification there is none to measure.
   */
  serves(components: readonly string[], { verified, since = {} }: Serves): void {
    for (const { name, measured } of this.state.components.filter((one) => components.includes(one.name))) {
      if (this.input.mode === 'dry-run') measured.rtoNote = 'a dry run restores nothing';
      else if (!verified) measured.rtoNote = 'the service was resumed by hand, and Lifeboat did not verify it';
      else {
        measured.rtoSeconds =
          ((since[name] ? Date.parse(since[name]) : Date.now()) - Date.parse(this.state.declaredAt)) / 1000;
        delete measured.rtoNote;
      }
    }
    this.show();
  }
}

function leftAlone(host: string, database: string, seen: Observation | undefined): string {
  if (seen?.role !== 'primary')
    return `what ${host} is, the primary of ${database} by the plan, is not known (${seen?.why ?? 'it was not asked'}): if it takes writes still, stop its server at once`;
  return `the server of ${database} on ${host} was a primary, too, on timeline ${seen.timeline}`;
}

const componentsOf = ({ database, objectives, services, components }: PlanFacts): ComponentFacts[] =>
  components ?? [
    { name: database, kind: 'database', objectives },
    ...services.map(({ name }): ComponentFacts => ({
      name,
      kind: 'service',
      objectives: { rtoSeconds: objectives.rtoSeconds },
    })),
  ];
