import { isCancellation, patched } from '@temporalio/workflow';
import type { Candidate } from '../../activities/backups/candidates.js';
import type { Handed, StandbysAsked } from '../../activities/backups/standby-wal.js';
import type { Incident } from '../incident.js';
import { problemOf } from '../problems.js';

/** What standbys have received and their primary may have lost since: asked for, and handed over where a restored copy waits for it. */

/** One that does not answer holds nobody up; that it was not asked is said. A dry run restores nothing. */
export async function askStandbys(incident: Incident): Promise<StandbysAsked> {
  const asked: StandbysAsked = { has: [], not: [] };
  // An incident that was declared before standbys were asked goes on without.
  if (incident.form('scratch') === 'rehearse' || !patched('standby-wal')) return asked;
  await Promise.all(
    incident.plan.standbys.map(async (standby) => {
      try {
        asked.has.push(...(await incident.host(standby, 'ask').lookAtWal({ form: 'execute', ...incident.names })).has);
      } catch (error) {
        if (isCancellation(error)) throw error;
        asked.not.push(`pg_wal of standby ${standby} (${problemOf(error).message})`);
      }
    }),
  );
  incident.warn(...asked.not.map((line) => `not checked: ${line}`));
  return asked;
}

/** Restores a candidate. Where the copy waits for WAL that only a standby has, that is handed over, and the copy goes on. */
export async function restoreWith(incident: Incident, candidate: Candidate, standbys: StandbysAsked) {
  const handed: Handed[] = [];
  const asked: string[] = [];
  const not = [...standbys.not];
  for (;;) {
    const restored = await incident.host(incident.plan.primary, 'long').restoreBeside({
      form: incident.form('scratch'),
      ...incident.names,
      candidate,
      target: incident.state.target,
      ...(incident.plan.standbys.length > 0 ? { standbys: { has: standbys.has, not }, handed, asked } : {}),
    });
    const { wants } = restored;
    if (!wants) return restored;
    asked.push(...wants);
    for (const standby of new Set(standbys.has.map(({ host }) => host))) {
      const segments = wants.filter((segment) => !handed.some((one) => one.segment === segment));
      if (segments.length === 0) break;
      try {
        const over = await incident.host(standby, 'tidy').handOverWal({ form: incident.form('scratch'), ...incident.names, segments });
        handed.push(...over.handed);
      } catch (error) {
        if (isCancellation(error)) throw error;
        not.push(`${segments.join(', ')} of standby ${standby} (${problemOf(error).message})`);
      }
    }
    const got = wants.filter((segment) => handed.some((one) => one.segment === segment));
    if (got.length > 0)
      incident.warn(`WAL that the archive and ${incident.plan.primary} do not have whole was taken from a standby: ${got.join(', ')}`);
  }
}
