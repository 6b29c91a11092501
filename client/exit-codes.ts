/** With which code the CLI ends; documented in the README. */
export const exitCodes = {
  done: 0,
  /** `check` and `doctor` found problems. */
  problems: 1,
  badInput: 2,
  /** The incident was refused: nothing was changed. */
  refused: 3,
  /** A person must decide before it goes on. */
  waiting: 4,
  /** Aborted or rolled back: not recovered. */
  notRecovered: 5,
  /** Temporal, or the control worker, does not answer. */
  noAnswer: 6,
  fault: 70,
} as const;
