/**
 * Which work a worker takes up first when it has more than it can do: 1 is first, 5 is last, 3 is Temporal's own. What
 * a workflow starts has its priority.
 * Source: docs.temporal.io, "Task queue priority".
 */
export const priority = {
  incident: { priorityKey: 1 },
  /** A person waits for the answer. */
  asked: { priorityKey: 2 },
  drill: { priorityKey: 4 },
  backup: { priorityKey: 5 },
} as const;
