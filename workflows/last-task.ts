import { isCancellation } from '@temporalio/workflow';

/**
 * A query may be answered from a history that is ahead of the last workflow task: the end of an activity is in it
 * already, and the task that takes it up is not. Temporal then runs the workflow on with the clock of the task before,
 * and whatever it stamps is of a wrong moment, and will be of another one. It shows in one way: an activity that ended
 * in the very moment in which it was called. What a reader is told is how it stood before.
 */
let ahead: () => void = () => undefined;

/** Calls this whenever the workflow is found to run ahead of its last task, before it has changed anything. */
export function whenAhead(call: () => void): void {
  ahead = call;
}

let each: () => void = () => undefined;

/** Calls this at the end of each activity, however it ended. */
export function whenEnded(call: () => void): void {
  each = call;
}

/** Waits for an activity. */
export async function ended<T>(activity: Promise<T>): Promise<T> {
  const called = Date.now();
  try {
    const result = await activity;
    if (Date.now() === called) ahead();
    return result;
  } catch (error) {
    // One that is cancelled as it is called does end in that moment.
    if (Date.now() === called && !isCancellation(error)) ahead();
    throw error;
  } finally {
    each();
  }
}
