import type { ComponentRecord, Measured, RowCheck } from './component.js';
import type { Problem, Question } from './question.js';

/**
 * What an incident knows and says: the answer to the `state` query, the input of every report, the text of `watch`.
 * Names, sizes, times and digests only: no secret and no command is ever in it. Times are ISO 8601 in UTC, durations
 * seconds.
 */

export type StepStatus = 'running' | 'done' | 'failed' | 'skipped' | 'by hand';

/** `drill`: the real scenario on scratch targets. `dry-run`: nothing is changed, everything is proven possible. */
export type Mode = 'real' | 'drill' | 'dry-run';

/**
 * open: running or waiting. recovered: the service is verified; tasks and roll-back remain. closed: done with. refused:
 * the request could not be honoured and nothing was changed. aborted: stopped by a person, in the state that `ending`
 * says.
 */
export type Phase = 'open' | 'waiting' | 'recovered' | 'closed' | 'refused' | 'aborted' | 'rolled back';

export interface StepRecord {
  name: string;
  /** The branch that took it, where several run side by side: the name of a component or a host. */
  lane?: string;
  status: StepStatus;
  startedAt: string;
  endedAt?: string;
  /** How many times the step as a whole was tried: 1, and one more for every decision to retry. */
  attempts: number;
  /** Where it ran. */
  host?: string;
  /** One line: what was found or done. */
  summary?: string;
  /** More lines, for the report. */
  details?: string[];
  problem?: Problem;
  /** Set when a person decided: who, what and why. */
  decision?: { by: string; choice: string; reason?: string; at: string; askedAt?: string };
  /** Shown to prove, not done: a drill's or a dry run's step that touches production. */
  rehearsed?: boolean;
}

export interface NoteRecord {
  at: string;
  by: string;
  text: string;
}

export interface Quarantine {
  host: string;
  path: string;
  bytes: number;
  what: string;
}

export interface PostRecoveryTask {
  name: string;
  text: string;
  doneAt?: string;
  by?: string;
}

/** A transaction that the restored copy holds prepared, for a commit in two phases. */
export interface PreparedInCopy {
  gid: string;
  database: string;
  owner: string;
  /** ISO 8601. */
  preparedAt: string;
  /** In words, with the commands that end it. */
  says: string;
}

/** What the copy that is in place holds now: compared with an earlier look, what was written to it since. */
export interface CopyFigures {
  summary: string;
  /** ISO 8601. */
  at: string;
  /**
   * Which copy it is: each one that was recovered is on a timeline of its own. Null: its control file cannot be read.
   */
  timeline: number | null;
  /**
   * The next transaction's number, and how many of those before it were the canary's. Null where it could not be asked.
   */
  transaction: string | null;
  beats: number | null;
  /** When the canary was committed last. */
  lastCommit: string | null;
  /** Of the plan's tables, when they were counted. */
  rows: Record<string, number | null>;
  /** Why it could not be asked. */
  why?: string;
}

export interface IncidentState {
  id: string;
  system: string;
  scenario: string;
  /** What the scenario is, in words. */
  title?: string;
  database: string;
  mode: Mode;
  phase: Phase;
  declaredBy: string;
  declaredAt: string;
  endedAt?: string;
  /** Where recovery goes back to: `latest`, a time, or a named backup. */
  target: string;
  objectives: { rtoSeconds: number; rpoSeconds: number };
  approvals: number;
  /** The copy that was put in place, as it was then: a roll-back says what was written to it since. */
  placed?: CopyFigures;
  /** The same copy, right before a roll-back took it out of service. */
  putAside?: CopyFigures;
  /** Names of the scenario's steps that have not been reached. */
  ahead: string[];
  steps: StepRecord[];
  /** What people are asked now, the oldest first: branches that run side by side may each ask. */
  questions: Question[];
  /** The first of them. */
  question?: Question;
  notes: NoteRecord[];
  /**
   * What it recovers, each with its own objectives and figures; `lost`, `rows`, `doubts` and `measured` are what they
   * come to together.
   */
  components: ComponentRecord[];
  /** What was lost, in sentences. */
  lost: string[];
  rows: RowCheck[];
  /**
   * What the plan's own checks (rows, queries) found wrong with the restored copy: a person decides with them on
   * screen.
   */
  doubts: string[];
  /** What of the restored copy is not as in its backup, or not as production was: configuration, slots, places. */
  differences?: string[];
  /**
   * What the verification could not check, what it mended, and what no restore brings back: nothing wrong, and to be
   * known before an approval.
   */
  cautions?: string[];
  /** What the restored copy holds prepared, until that was rolled back in it. */
  prepared?: PreparedInCopy[];
  measured: Measured;
  /** The other databases of the cluster, in words: a restore of the whole takes them along. */
  neighbours?: string[];
  /**
   * Transactions that were committed in the damaged database after it was closed: they are in quarantine alone. Null:
   * nobody can tell how many.
   */
  behindFence?: number | null;
  quarantine: Quarantine[];
  tasks: PostRecoveryTask[];
  warnings: string[];
  /** Files of evidence with their SHA-256. */
  evidence: { file: string; bytes: number; sha256: string }[];
  backup?: { label: string; location: string; takenAt: string };
  /** What was decided of its end, while that is being carried out: nothing else is taken meanwhile. */
  leaving?: { what: 'abort' | 'roll-back' | 'close' | 'cancel' | 'hand over' | 'escalate'; by: string };
  /** The state that everything was left in, in one sentence. */
  ending?: string;
  /** Where the report was written, on the control worker. */
  report?: string;
  canRollBack: boolean;
  planDigest: string;
}

/** What a long activity says in its heartbeats. */
export interface Progress {
  what: string;
  /** It is no progress: nobody works on it at the moment. */
  waits?: boolean;
  /** What to type so that it goes on. */
  type?: string;
  /** 0 to 100. */
  percent?: number;
  bytesDone?: number;
  bytesTotal?: number;
  secondsLeft?: number;
}

/** What is asked about this step now. */
export const questionAbout = ({ questions, steps }: IncidentState, step: StepRecord): Question | undefined =>
  step === steps.findLast(({ name, lane }) => name === step.name && lane === step.lane)
    ? questions.find((one) => one.step === step.name && one.lane === step.lane)
    : undefined;

/** A step as people call it. */
export const titleOf = ({ name, lane }: Pick<StepRecord, 'name' | 'lane'>): string =>
  lane === undefined ? name : `${name} ${lane}`;
