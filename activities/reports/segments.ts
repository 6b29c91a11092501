import { questionAbout, type IncidentState, type StepRecord } from '../../vocabulary/incident.js';

/** What a step's time was spent on: the parts of its bar in the timeline. */
export type SegmentKind = 'work' | 'rehearsed' | 'failed' | 'waiting' | 'skipped' | 'by hand';

export interface Segment {
  kind: SegmentKind;
  from: number;
  to: number;
}

export function segments(step: StepRecord, state: IncidentState, now: Date): Segment[] {
  const from = Date.parse(step.startedAt);
  const wait = waitOf(step, state, now);
  const to = Math.max(step.endedAt ? Date.parse(step.endedAt) : now.getTime(), wait?.to ?? 0, from);
  const final = kindOf(step);
  if (!wait) return [{ kind: final, from, to }];
  const before: SegmentKind = step.problem ? 'failed' : final;
  return [
    { kind: before, from, to: wait.from },
    { kind: 'waiting' as const, ...wait },
    { kind: final, from: wait.to, to },
  ].filter((part) => part.to > part.from || part.kind === 'waiting');
}

function kindOf(step: StepRecord): SegmentKind {
  if (step.status === 'failed' || step.status === 'skipped' || step.status === 'by hand') return step.status;
  return step.rehearsed ? 'rehearsed' : 'work';
}

type Wait = Pick<Segment, 'from' | 'to'>;

function waitOf(step: StepRecord, state: IncidentState, now: Date): Wait | undefined {
  const start = Date.parse(step.startedAt);
  const question = questionAbout(state, step);
  if (question) {
    return { from: Math.max(start, Date.parse(question.askedAt)), to: now.getTime() };
  }
  // A decision may know when it was asked for. Without that, a step without a problem waited from its start.
  const decision: (StepRecord['decision'] & { askedAt?: string }) | undefined = step.decision;
  if (!decision) return undefined;
  const to = Date.parse(decision.at);
  if (decision.askedAt) return { from: Date.parse(decision.askedAt), to };
  return step.problem ? { from: to, to } : { from: start, to };
}
