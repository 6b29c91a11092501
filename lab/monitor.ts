import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks the health of the service several times a second, as a team's monitor does, and remembers when it was well for
 * the last time.
 */
export interface Monitor {
  /** When the last good answer came. */
  lastGood(): Date | undefined;
  /** The first answer that was not good after that. */
  firstBad(): { at: Date; says: string } | undefined;
  stop(): Promise<void>;
}

export function startMonitor(serviceUrl: string, everyMs = 250): Monitor {
  const end = new AbortController();
  let good: Date | undefined;
  let bad: { at: Date; says: string } | undefined;
  const running = (async () => {
    while (!end.signal.aborted) {
      const { ok, says } = await ask(`${serviceUrl}/health`);
      if (ok) {
        good = new Date();
        bad = undefined;
      } else bad ??= { at: new Date(), says };
      await pause(everyMs, undefined, { signal: end.signal }).catch(() => undefined);
    }
  })();
  return {
    lastGood: () => good,
    firstBad: () => bad,
    async stop() {
      end.abort();
      await running;
    },
  };
}

/** One request, and its answer in words: `200`, or `503: invalid page in block 0 ...`. */
export async function ask(
  url: string,
  method = 'GET',
): Promise<{ ok: boolean; says: string; body: Record<string, unknown> }> {
  try {
    const response = await fetch(url, { method, signal: AbortSignal.timeout(5000) });
    const body = (await response.json()) as Record<string, unknown>;
    return {
      ok: response.ok,
      says: response.ok ? String(response.status) : `${response.status}: ${String(body['error'])}`,
      body,
    };
  } catch (error) {
    return { ok: false, says: `no answer: ${(error as Error).message}`, body: {} };
  }
}
