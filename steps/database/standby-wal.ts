import type { Candidate } from '../../activities/backups/candidates.js';
import type { Handed, StandbysAsked, StandbyWal } from '../../activities/backups/standby-wal.js';
import type { At, OnDatabase } from '../step.js';

export type { StandbysAsked, StandbyWal };

/**
 * What standbys have received and their primary may have lost since: asked for, and handed over where a restored copy
 * waits for it.
 */

/** One that does not answer holds nobody up; that it was not asked is said. A dry run restores nothing. */
export async function askStandbys(at: At, database: string): Promise<StandbysAsked> {
  const asked: StandbysAsked = { has: [], not: [] };
  if (at.request.mode === 'dry-run' || !at.since('standby-wal')) return asked;
  await Promise.all(
    at.plan.standbys.map((standby) =>
      at.orElse(
        async () => void asked.has.push(...(await at.looksOn(standby, 'ask').lookAtWal({ database })).has),
        ({ message }) => void asked.not.push(`pg_wal of standby ${standby} (${message})`),
      ),
    ),
  );
  at.warn(...asked.not.map((line) => `not checked: ${line}`));
  return asked;
}

/**
 * Restores a candidate. Where the copy waits for WAL that only a standby has, that is handed over, and the copy goes
 * on.
 */
export async function restoreWith(
  at: At,
  { database, host }: OnDatabase,
  candidate: Candidate,
  standbys: StandbysAsked,
) {
  const handed: Handed[] = [];
  const asked: string[] = [];
  const not = [...standbys.not];
  for (;;) {
    const restored = await at.on(host, 'long').restoreBeside({
      database,
      candidate,
      target: at.state.target,
      ...(at.plan.standbys.length > 0 ? { standbys: { has: standbys.has, not }, handed, asked } : {}),
    });
    const { wants } = restored;
    if (!wants) return restored;
    asked.push(...wants);
    for (const standby of new Set(standbys.has.map((one) => one.host))) {
      const segments = wants.filter((segment) => !handed.some((one) => one.segment === segment));
      if (segments.length === 0) break;
      await at.orElse(
        async () => void handed.push(...(await at.on(standby, 'tidy').handOverWal({ database, segments })).handed),
        ({ message }) => void not.push(`${segments.join(', ')} of standby ${standby} (${message})`),
      );
    }
    const got = wants.filter((segment) => handed.some((one) => one.segment === segment));
    if (got.length > 0)
      at.warn(`WAL that the archive and ${host} do not have whole was taken from a standby: ${got.join(', ')}`);
  }
}
