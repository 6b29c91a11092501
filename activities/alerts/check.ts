import type { Alert } from '../../vocabulary/alert.js';

/** What is wrong is returned, and what cannot be seen is wrong too. */
export type Look = () => Promise<Alert[]>;

/** One look takes this long at most; milliseconds. An alert must not wait for what hangs. */
const within = 60_000;

/**
 * Runs a look, and never throws or hangs: what it could not see is an alert of its own. `what`: the end of its key and
 * of its title, such as `locations/onsite`.
 */
export async function bounded(what: string, look: Look): Promise<Alert[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${within / 1000} s`)), within);
  });
  try {
    return await Promise.race([look(), late]);
  } catch (error) {
    return [unseen(what, (error as Error).message, (error as { details?: { hint?: string }[] }).details?.[0]?.hint)];
  } finally {
    clearTimeout(timer);
  }
}

export const unseen = (
  what: string,
  why: string,
  hint = 'See everything that is wrong there: lifeboat doctor',
): Alert => ({
  key: `unseen/${what}`,
  severity: 'warning',
  title: `${what.replace('/', ' ')} cannot be looked at`,
  text: `${why}. While that is so, nobody would notice if it went wrong. ${hint}`,
});
