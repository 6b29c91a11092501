import type { Verification } from '../../activities/recovery/verify-restored.js';
import { code } from '../../plan/markdown.js';
import { sentenceList } from '../../plan/words.js';
import { parseTarget } from '../../vocabulary/target.js';
import { formatDuration } from '../../vocabulary/units.js';
import { type At, step } from '../step.js';
import { anotherTarget } from './another-target.js';
import { firstThatHolds } from './backups-in-turn.js';
import type { Sources } from './choose-backup.js';
import { restoreWith } from './standby-wal.js';
import { tellBehindFence } from './written-behind.js';

export const verifyCopy = step({
  name: 'Verify the restored copy',
  does: 'amcheck with heap and index checks, zero pages, row counts against their last known values, the queries of the plan, and the age of the canary: the RPO really reached.',
  when: 'restored',
  here(plan, database) {
    const { verify } = plan.databases[database]!;
    const rows = Object.keys(verify.rows).map(code);
    const queries = verify.queries.map(({ sql, expect }) => `${code(sql)} gives ${code(String(expect))}`);
    return rows.length + queries.length === 0
      ? undefined
      : [rows.length > 0 ? `counts ${sentenceList(rows)}` : '', ...queries].filter(Boolean).join('; ').concat('.');
  },
  touches: 'scratch',
  host: ({ host }: Sources) => host,
  async run(at, { candidates, standbys, ...on }: Sources) {
    const { database, host } = on;
    const { state } = at;
    const { backup } = state;
    const chosen = candidates.findIndex(
      ({ label, location }) => label === backup?.label && location === backup.location,
    );
    const verified = await firstThatHolds(at, candidates.slice(Math.max(0, chosen)), async (candidate) => {
      // Restored already, this only looks; the next one is restored first.
      await restoreWith(at, on, candidate, standbys);
      return at.on(host, 'long').verifyRestored({ database, target: state.target, declaredAt: state.declaredAt });
    });
    note(at, database, verified);
    const { commits, marked } = await at.looksOn(host).behindFence({ database });
    if (marked && commits !== 0) tellBehindFence(at, database, commits);
    return { summary: verified.summary };
  },
  choices: [anotherTarget],
});

function note(at: At, database: string, verified: Verification): void {
  const { rows, doubts, differences, warnings, prepared, files, rpoSeconds, missing = [] } = verified;
  const { state } = at;
  const component = at.component(database);
  const { measured } = component;
  Object.assign(component, { rows, doubts });
  Object.assign(state, { differences, cautions: warnings });
  if (prepared) state.prepared = prepared;
  else delete state.prepared;
  state.evidence.push(...files);
  measured.rpoSeconds = rpoSeconds;
  if (rpoSeconds === null)
    measured.rpoNote =
      at.form === 'rehearse' ? 'a dry run restores nothing' : 'there is no canary in the restored copy';
  else delete measured.rpoNote;
  component.lost = [...missing, ...lost(at, rpoSeconds)];
  at.warn(...warnings, ...differences, ...doubts);
}

function lost({ state }: At, rpoSeconds: number | null): string[] {
  if (rpoSeconds === null) return ['how much was lost could not be measured'];
  const declared = Date.parse(state.declaredAt);
  const target = parseTarget(state.target);
  // Recovery stops exactly at a time that was asked for; otherwise the canary, which is up to two seconds older, bounds
  // what is missing.
  const exact = target.kind === 'time';
  const since = exact ? Date.parse(target.iso) : declared - rpoSeconds * 1000;
  const before = `${formatDuration(Math.max(0, (declared - since) / 1000))} before the incident was declared`;
  return [`${exact ? '' : 'at most '}what was committed after ${new Date(since).toISOString()} (${before})`];
}
