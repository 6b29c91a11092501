/** What an incident asks people, and what they tell it. */

export interface Problem {
  message: string;
  /** What to do next, for the person on call. */
  hint?: string;
  /** The kind of error: AgentOffline, BackupDamaged, NotEnoughSpace, ... */
  type?: string;
}

export interface Choice {
  /** Any word: the scenario's own. `lifeboat decide` takes whichever the open question offers. */
  name: string;
  meaning: string;
  needs: ('reason' | 'target')[];
  /**
   * Whoever declared the incident may choose it also where the plan asks for two people: nothing is put in place by it.
   */
  alone?: true;
}

export interface Question {
  /** Rises by one with each question, so that an answer to an older one is refused. */
  id: number;
  kind: 'approval' | 'decision';
  step: string;
  /** The branch that asks, where several run side by side: the name of a component or a host. */
  lane?: string;
  text: string;
  /** The figures that the person decides on. */
  facts: string[];
  choices: Choice[];
  askedAt: string;
  problem?: Problem;
}

export interface Decision {
  by: string;
  choice: string;
  /**
   * The question that is answered: an answer without it is refused, but for an abort and a roll-back, which hold
   * whatever is asked.
   */
  question?: number;
  reason?: string;
  target?: string;
}

export interface Abort {
  by: string;
  reason: string;
  /** Open the database and start the services as they stand; otherwise writes stay stopped. */
  resume: boolean;
}

export interface Note {
  by: string;
  text: string;
  /** A post-recovery task that is done with this. */
  task?: string;
}

export interface Close {
  by: string;
  /** Why, when tasks are still open. */
  leaveTasksOpen?: string;
}
