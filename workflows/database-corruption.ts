import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { Assessment } from '../activities/postgres/assess.js';
import type { Candidate } from '../activities/backups/candidates.js';
import type { StandbysAsked, StandbyWal } from '../activities/backups/standby-wal.js';
import { protocol } from '../vocabulary/names.js';
import { parseTarget } from '../vocabulary/target.js';
import { formatDuration } from '../vocabulary/units.js';
import { Chosen, type Incident } from './incident.js';
import { scenario } from './scenario.js';
import type { Choice, Problem } from '../vocabulary/question.js';
import { damagedDirectory, setAsideDatabase } from './ending.js';
import { anotherTarget, approved } from './shared/approval.js';
import { settlePrepared } from './shared/prepared.js';
import { demandSameProtocol } from './shared/protocol.js';
import { makeSafe, mayRollBack, resumeService, rollBack, stopServices, watch } from './shared/service.js';
import { askStandbys, restoreWith } from './shared/standbys.js';
import { reprotect } from './shared/reprotect.js';
import { factOf, findingsOf, isFailureOf } from './shared/failures.js';

/** A database is corrupted, or its data is wrong. Steps and their order: plan/scenarios.ts. */
export const databaseCorruption = scenario({ recover, makeSafe, mayRollBack, rollBack });

async function recover(incident: Incident): Promise<void> {
  const { primary } = incident.plan;
  await incident.check('Check the request', () => checkRequest(incident), { host: primary, touches: 'nothing' });
  await incident.step('Stop writes', () => stopWrites(incident), {
    host: primary,
    byHand: () => incident.host(primary, 'change').attestStopped({ form: incident.form('production'), ...incident.names }),
  });
  await incident.step('Save evidence', () => saveEvidence(incident), {
    host: primary,
    otherwise: () => ({ summary: 'no evidence was saved' }),
  });
  const damage = await incident.step('Assess the damage', () => assess(incident, 1), { host: primary, otherwise: notAssessed });
  if (!(await repaired(incident, damage))) await restoreAndPutInPlace(incident);
  const resumed = await incident.step('Resume the service', () => resumeService(incident), {
    host: primary,
    otherwise: () => ({ summary: 'Lifeboat did not resume it', verified: false }),
  });
  incident.serviceResumed(resumed.verified);
  let watches = 0;
  await incident.step('Watch', () => watch(incident, (watches += 1)), { host: primary, otherwise: () => ({ summary: 'not watched' }) });
  await reprotect(incident);
  await incident.step('Report', () => incident.control('change').writeReport({ form: 'execute', state: incident.state }), {
    touches: 'nothing',
    otherwise: () => ({ summary: '', path: '' }),
  });
}

async function checkRequest(incident: Incident) {
  const check = (standbys?: StandbyWal[]) =>
    incident.host(incident.plan.primary, 'look').checkRequest({
      form: 'execute',
      ...incident.names,
      ...(incident.input.target ? { target: incident.input.target } : {}),
      ...(standbys ? { standbys } : {}),
      protocol,
    });
  const checked = await check().catch(async (error: unknown) => {
    // A hole in the archive is none where a standby has that segment.
    const { has } = isFailureOf(error, 'NoBackup') && incident.plan.standbys.length > 0 ? await askStandbys(incident) : { has: [] };
    if (has.length === 0) throw error;
    return check(has);
  });
  demandSameProtocol(incident.plan.primary, checked.protocol);
  incident.warn(...checked.warnings);
  if (checked.planDigest !== incident.state.planDigest)
    incident.warn(`the agent of ${incident.plan.primary} has plan ${checked.planDigest}, the control worker ${incident.state.planDigest}`);
  return checked;
}

/** The database is what must be closed: a service that cannot be stopped is a warning, since it can no longer write. */
async function stopWrites(incident: Incident) {
  const [services, closed] = await Promise.all([
    stopServices(incident),
    incident.host(incident.plan.primary, 'change').stopWrites({ form: incident.form('production'), ...incident.names }),
  ]);
  incident.warn(...services.failed.map((why) => `${why}; it cannot write, since the database is closed`), ...closed.warnings);
  return { summary: [...services.stopped, closed.summary, ...closed.proofs].join('; ') };
}

async function saveEvidence(incident: Incident) {
  const saved = await incident.host(incident.plan.primary, 'change').saveEvidence({ form: incident.form('production'), ...incident.names });
  incident.state.evidence.push(...saved.files);
  return saved;
}

async function assess(incident: Incident, round: number): Promise<Assessment> {
  const found = await incident.host(incident.plan.primary, 'long').assess({ form: incident.form('production'), ...incident.names, round });
  incident.state.evidence.push(...found.files);
  return found;
}

/** A person looked at it instead: taken as the worst, so that nothing is left out. */
const notAssessed = (): Assessment => ({
  summary: 'not assessed',
  classification: 'not repairable',
  findings: [],
  damagedIndexes: [],
  files: [],
});

/** True when the database is sound without a restore: repaired, or found sound by a person's word. */
async function repaired(incident: Incident, found: Assessment): Promise<boolean> {
  if (incident.input.target) return false;
  let damage = found;
  if (damage.classification === 'repairable') {
    damage = await incident.step('Repair', () => repair(incident, found), { host: incident.plan.primary, otherwise: notAssessed });
  }
  if (damage.classification === 'not repairable' || damage.classification === 'repairable') return false;
  if (damage.classification === 'healthy' && found.classification === 'repairable') {
    incident.warn(...notCheckedIn(damage));
    incident.state.measured.rpoSeconds = 0;
    incident.state.measured.rpoNote = 'repaired in place: no row was lost';
    return true;
  }
  return await askWhatIsWrong(incident, damage);
}

async function repair(incident: Incident, { damagedIndexes }: Assessment): Promise<Assessment> {
  const { primary } = incident.plan;
  const done = await incident.host(primary, 'long').repair({
    form: incident.form('production'),
    ...incident.names,
    damagedIndexes,
    vacuumFull: incident.input.vacuumFull === true,
  });
  const after = await assess(incident, 2);
  return { ...after, summary: `${done.summary}; then ${after.summary}` };
}

const notCheckedIn = ({ notChecked = [] }: Assessment): string[] => notChecked.map((what) => `not checked: ${what}`);

/** Nothing is damaged, or only a person knows to which moment the data was right. */
async function askWhatIsWrong(incident: Incident, damage: Assessment): Promise<boolean> {
  const text =
    damage.classification === 'healthy'
      ? 'No damage was found in what was checked. Restore (--to latest: all that was committed; or to an earlier moment), or resume on it as it is?'
      : 'What was checked of the pages is sound, but the data is not as it should be. To which moment shall it go back (--to latest: all that was committed)?';
  const choices: Choice[] = [
    { name: 'restore', meaning: 'restore to the latest moment, or to one before the damage', needs: ['target'] },
    { name: 'keep', meaning: 'resume on the database as it is', needs: ['reason'] },
  ];
  if (!incident.real) return false;
  const decision = await incident.approve('Choose the target', text, [...damage.findings, ...notCheckedIn(damage)], choices);
  if (decision.choice === 'keep') {
    incident.state.measured.rpoNote = 'nothing was restored: a person kept the database as it is';
    return true;
  }
  if (decision.choice !== 'restore') throw new Chosen(decision);
  incident.state.target = decision.target!;
  return false;
}

/** Restores beside the damaged copy until a person approves what was restored, then puts it in place. */
async function restoreAndPutInPlace(incident: Incident): Promise<void> {
  for (;;) {
    try {
      await restoreBeside(incident);
      for (;;) {
        const decision = await approved(incident);
        await settlePrepared(incident, decision);
        if (await placed(incident, decision.choice !== 'only')) return;
      }
    } catch (error) {
      // A step's question was answered with another target: once more from the choice of the backup.
      if (!(error instanceof Chosen) || error.decision.choice !== 'restore') throw error;
      incident.state.target = error.decision.target!;
    }
  }
}

/** False when somebody wrote behind the fence meanwhile: who approved did not know of it, and is asked again. */
async function placed(incident: Incident, all: boolean): Promise<boolean> {
  const written = (problem: Problem) => {
    if (problem.type === 'WrittenBehindFence') throw new AskAgain();
  };
  try {
    const host = incident.plan.primary;
    if (all) await incident.step('Put it in place', () => putInPlace(incident), { host }, written);
    else await incident.step('Put the one database back', () => putOneBack(incident), { host, choices: [anotherTarget] }, written);
    return true;
  } catch (error) {
    if (!(error instanceof AskAgain)) throw error;
    return false;
  }
}

class AskAgain extends Error {}

/** Tries the backups that fit, newest first and location by location, until one is restored and verified. */
async function restoreBeside(incident: Incident): Promise<void> {
  const { primary } = incident.plan;
  const options = { host: primary, choices: [anotherTarget], touches: 'scratch' as const };
  let standbys: StandbysAsked = { has: [], not: [] };
  const choose = async () => {
    standbys = await askStandbys(incident);
    const { database } = incident.input;
    const known = standbys.has.length > 0 ? { standbys: standbys.has } : {};
    return incident.host(primary, 'look').listCandidates({ form: 'execute', database, target: incident.state.target, ...known });
  };
  const { candidates } = await incident.step('Choose the backup', choose, { ...options, touches: 'nothing' });
  const restore = (candidate: Candidate) => restoreWith(incident, candidate, standbys);
  let attempts = 0;
  const first = async () => {
    attempts += 1;
    // Asked anew: who retries may have brought one back.
    if (attempts > 1) standbys = await askStandbys(incident);
    return firstThatHolds(incident, candidates, restore);
  };
  await incident.step('Restore beside', first, options);
  await incident.step('Verify the restored copy', () => verifyOrNext(incident, candidates, restore), options);
}

/**
 * Goes to the next backup when one turns out damaged; the last one's damage is the failure of the step. The same damage out of two backups is in what both
 * share: the WAL, or they were taken after it. Then only the oldest one can tell, and what lies between is not tried: each is a restore of hours.
 */
async function firstThatHolds<T>(incident: Incident, candidates: Candidate[], work: (candidate: Candidate) => Promise<T>): Promise<T> {
  const seen = new Map<string, string>();
  const oldest = candidates.at(-1)?.label;
  let shared: string | undefined;
  for (const [at, candidate] of candidates.entries()) {
    if (shared !== undefined && candidate.label !== oldest) continue;
    try {
      const result = await work(candidate);
      incident.state.backup = { label: candidate.label, location: candidate.location, takenAt: candidate.takenAt };
      return result;
    } catch (error) {
      const damaged = isFailureOf(error, 'BackupDamaged', 'VerificationFailed');
      if (!damaged) throw error;
      incident.warn(`${candidate.label} at ${candidate.location} was not used: ${damaged}`);
      const findings = findingsOf(error);
      if (shared !== undefined && findings.includes(shared)) {
        incident.warn(`the oldest backup shows the same damage (${shared}): it is in the WAL, and an earlier target is needed`);
        throw error;
      }
      if (at === candidates.length - 1) throw error;
      shared ??= findings.find((finding) => (seen.get(finding) ?? candidate.label) !== candidate.label);
      if (shared !== undefined) {
        if (candidate.label === oldest) throw error;
        incident.warn(`${seen.get(shared)} and ${candidate.label} show the same damage (${shared}): only the oldest backup is tried yet`);
      }
      for (const finding of findings) if (!seen.has(finding)) seen.set(finding, candidate.label);
    }
  }
  throw ApplicationFailure.nonRetryable('no backup was listed', 'NoBackup');
}

async function verifyOrNext(incident: Incident, candidates: Candidate[], restore: (candidate: Candidate) => Promise<unknown>) {
  const verify = () =>
    incident.host(incident.plan.primary, 'long').verifyRestored({
      form: incident.form('scratch'),
      ...incident.names,
      target: incident.state.target,
      declaredAt: incident.state.declaredAt,
    });
  const { backup } = incident.state;
  const chosen = candidates.findIndex(({ label, location }) => label === backup?.label && location === backup.location);
  const verified = await firstThatHolds(incident, candidates.slice(Math.max(0, chosen)), async (candidate) => {
    // Restored already, this only looks; the next one is restored first.
    await restore(candidate);
    return verify();
  });
  const { state } = incident;
  state.rows = verified.rows;
  state.doubts = verified.doubts;
  state.differences = verified.differences;
  state.cautions = verified.warnings;
  if (verified.prepared) state.prepared = verified.prepared;
  else delete state.prepared;
  state.evidence.push(...verified.files);
  state.measured.rpoSeconds = verified.rpoSeconds;
  if (verified.rpoSeconds === null)
    state.measured.rpoNote =
      incident.form('scratch') === 'rehearse' ? 'a dry run restores nothing' : 'there is no canary in the restored copy';
  else delete state.measured.rpoNote;
  state.lost = [...(verified.missing ?? []), ...lost(incident, verified.rpoSeconds)];
  incident.warn(...verified.warnings, ...verified.differences, ...verified.doubts);
  const { commits, marked } = await incident.host(incident.plan.primary, 'look').behindFence({ form: 'execute', ...incident.names });
  if (marked && commits !== 0) tellBehindFence(incident, commits);
  return verified;
}

/** What whoever approves knows of it. */
const told = ({ state }: Incident): number | null => (state.behindFence === undefined ? 0 : state.behindFence);

/** Takes out of a failure how much was committed behind the fence. */
function noteBehind(incident: Incident, error: unknown): void {
  const behind = isFailureOf(error, 'WrittenBehindFence') && factOf(error, 'behind');
  if (typeof behind === 'number' || behind === null) tellBehindFence(incident, behind);
}

/** What was committed after the closing is in the damaged database alone: whoever approves must know. The last count is the one that holds. */
function tellBehindFence(incident: Incident, commits: number | null): void {
  const { state } = incident;
  const how =
    commits === null
      ? `what was committed in ${state.database} ${behindMark} cannot be told, and somebody has started its server since`
      : `${commits} ${commits === 1 ? 'transaction was' : 'transactions were'} committed in ${state.database} ${behindMark}`;
  const says = `${how}: not in the restored copy, kept with the old data`;
  const others = (lines: string[]) => lines.filter((line) => !line.includes(behindMark));
  state.behindFence = commits;
  state.doubts = [...others(state.doubts), says];
  state.lost = [...others(state.lost), says];
  incident.warn(says);
}

const behindMark = 'after it was closed';

function lost(incident: Incident, rpoSeconds: number | null): string[] {
  if (rpoSeconds === null) return ['how much was lost could not be measured'];
  const declared = Date.parse(incident.state.declaredAt);
  const target = parseTarget(incident.state.target);
  // Recovery stops exactly at a time that was asked for; otherwise the canary, which is up to two seconds older, bounds what is missing.
  const exact = target.kind === 'time';
  const since = exact ? Date.parse(target.iso) : declared - rpoSeconds * 1000;
  const before = `${formatDuration(Math.max(0, (declared - since) / 1000))} before the incident was declared`;
  return [`${exact ? '' : 'at most '}what was committed after ${new Date(since).toISOString()} (${before})`];
}

/** Out of the copy, which is not needed any more then; the server and its timeline stay. */
async function putOneBack(incident: Incident) {
  const { primary } = incident.plan;
  const { state } = incident;
  const agent = incident.host(primary, 'long');
  const placed = await agent
    .putOneBack({ form: incident.form('production'), ...incident.names, behind: told(incident) })
    .catch((error: unknown) => {
      noteBehind(incident, error);
      throw error;
    });
  // A database that was dropped leaves none to be renamed aside, and nothing to go back to.
  if (placed.aside !== '') state.quarantine.push({ host: placed.host, path: placed.aside, bytes: placed.bytes, what: setAsideDatabase });
  state.quarantine.push({ host: placed.host, path: placed.copy, bytes: 0, what: 'the restored copy of the whole cluster, not in use' });
  state.lost = state.lost.map((lost) => `${lost}, of ${state.database} alone`);
  state.canRollBack = placed.aside !== '';
  await noteFigures(incident);
  return placed;
}

/** What it was when it was put in place, to say after a roll-back what came since. A recovery does not wait for a person because of it. */
async function noteFigures(incident: Incident): Promise<void> {
  try {
    incident.state.placed = await incident
      .host(incident.plan.primary, 'tidy')
      .copyFigures({ form: 'execute', database: incident.input.database, count: false });
  } catch (error) {
    if (isCancellation(error)) throw error;
  }
}

async function putInPlace(incident: Incident) {
  const agent = incident.host(incident.plan.primary, 'change');
  const form = incident.form('production');
  try {
    const placed = await agent.putInPlace({ form, ...incident.names, behind: told(incident) });
    if (form === 'execute') {
      if (placed.bytes > 0)
        incident.state.quarantine.push({
          host: placed.host,
          path: placed.quarantine,
          bytes: placed.bytes,
          what: damagedDirectory,
        });
      incident.state.canRollBack = placed.canGoBack;
      incident.warn(...placed.warnings);
      await noteFigures(incident);
    }
    return placed;
  } catch (error) {
    noteBehind(incident, error);
    const why = isFailureOf(error, 'VerificationFailed', 'ServerFailed', 'CommandFailed', 'FenceFailed');
    if (!why || form === 'rehearse') throw error;
    const back = await agent.putBack({ form, ...incident.names });
    incident.warn(`the restored copy did not hold in place (${why}); ${back.summary}`);
    throw error;
  }
}
