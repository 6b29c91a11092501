import { explain } from './output.js';

/**
 * The work on one of several: when it fails, the others are still worked on, and its result says why. Alone, its
 * failure is the command's.
 */
export async function orFailed<T>(alone: boolean, work: () => Promise<T>, otherwise: (why: string) => T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (alone) throw error;
    const { message, hint } = await explain(error);
    return otherwise(`${message}${hint ? ` → ${hint}` : ''}`);
  }
}
