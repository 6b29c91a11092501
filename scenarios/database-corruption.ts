import { assess, type Assessment, notChecked } from '../steps/database/assess.js';
import { checkRequest } from '../steps/database/check-request.js';
import { chooseBackup } from '../steps/database/choose-backup.js';
import { putInPlace } from '../steps/database/put-in-place.js';
import { putOneBack } from '../steps/database/put-one-back.js';
import { rebuildStandby } from '../steps/database/rebuild-standby.js';
import { release } from '../steps/database/release.js';
import { repair } from '../steps/database/repair.js';
import { reprotect } from '../steps/database/reprotect.js';
import { restoreBeside } from '../steps/database/restore-beside.js';
import { rollBackPrepared } from '../steps/database/roll-back-prepared.js';
import { stopWrites } from '../steps/database/stop-writes.js';
import { verifyCopy } from '../steps/database/verify-copy.js';
import { saveEvidence } from '../steps/evidence/save-evidence.js';
import { report } from '../steps/people/report.js';
import { approve } from '../steps/people/approve.js';
import { chooseTarget } from '../steps/people/choose-target.js';
import { resumeService } from '../steps/services/resume-service.js';
import { watch } from '../steps/services/watch.js';
import type { OnDatabase } from '../steps/step.js';
import { Chosen, HandedBack, type Incident, scenario } from './scenario.js';

const steps = [
  checkRequest,
  stopWrites,
  saveEvidence,
  assess,
  repair,
  chooseTarget,
  chooseBackup,
  restoreBeside,
  verifyCopy,
  approve,
  rollBackPrepared,
  putOneBack,
  putInPlace,
  resumeService,
  watch,
  reprotect,
  release,
  rebuildStandby,
  report,
] as const;
type Here = Incident<(typeof steps)[number]>;

/** A database is corrupted, or its data is wrong. */
export const databaseCorruption = scenario<(typeof steps)[number]>({
  name: 'database-corruption',
  title: 'A database is corrupted, or its data is wrong',
  symptoms: [
    'database connection errors',
    'invalid pages, checksum failures, index errors in the server log',
    'data that is missing or wrong',
    'application errors',
  ],
  options: [
    { flags: '--database <name>', means: 'the database; needed when the plan has several' },
    {
      flags: '--to <target>',
      means: 'restore to: latest, a time with its offset (2026-11-21T03:15:00Z), an LSN, or the label of a backup',
    },
    { flags: '--vacuum-full', means: 'when a repair suffices, rewrite the tables too', real: true },
  ],
  steps,
  async recover(incident) {
    const { database, primary: host } = incident.plan;
    const at = { database, host };
    await incident.do(checkRequest, at);
    await incident.do(stopWrites, at);
    await incident.do(saveEvidence, at);
    const damage = await incident.do(assess, at);
    if (!(await sound(incident, at, damage))) await restored(incident, at);
    incident.serves(
      [database, ...incident.plan.services.map(({ name }) => name)],
      await incident.do(resumeService, at),
    );
    await incident.do(watch, at);
    await incident.do(reprotect, at);
    await incident.do(release, at);
    const named = (standby: string) => standby;
    // As the plan is now: it may have been corrected while a person was asked.
    await incident.each(incident.plan.standbys, named, (branch, standby) =>
      branch.do(rebuildStandby, { database, host: standby }),
    );
    await incident.do(report, {});
  },
});

/** True when the database is sound without a restore: repaired, or found sound by a person's word. */
async function sound(incident: Here, at: OnDatabase, found: Assessment): Promise<boolean> {
  if (incident.request.target) return false;
  const damage = found.classification === 'repairable' ? await incident.do(repair, { ...at, damage: found }) : found;
  if (damage.classification === 'not repairable' || damage.classification === 'repairable') return false;
  if (damage.classification === 'healthy' && found.classification === 'repairable') {
    incident.warn(...notChecked(damage));
    Object.assign(incident.component(at.database).measured, {
      rpoSeconds: 0,
      rpoNote: 'repaired in place: no row was lost',
    });
    return true;
  }
  if (!incident.real) return false;
  const decision = await incident.ask(chooseTarget, damage);
  if (decision.choice === 'keep') {
    incident.component(at.database).measured.rpoNote = 'nothing was restored: a person kept the database as it is';
    return true;
  }
  incident.state.target = decision.target!;
  return false;
}

/** Restores beside the damaged copy until a person approves what was restored, then puts it in place. */
async function restored(incident: Here, at: OnDatabase): Promise<void> {
  for (;;) {
    try {
      const { candidates, standbys } = await incident.do(chooseBackup, at);
      const copy = await incident.do(restoreBeside, { ...at, candidates, standbys });
      await incident.do(verifyCopy, { ...at, candidates, standbys: copy.standbys });
      while (!(await placed(incident, at)));
      return;
    } catch (error) {
      // A question was answered with another target: once more from the choice of the backup.
      if (!(error instanceof Chosen) || error.decision.choice !== 'restore') throw error;
      incident.state.target = error.decision.target!;
    }
  }
}

/** False when somebody wrote behind the fence meanwhile: who approved did not know of it, and is asked again. */
async function placed(incident: Here, at: OnDatabase): Promise<boolean> {
  const decision = await incident.ask(approve, at);
  if (decision.choice === 'restore') throw new Chosen(decision);
  const { prepared = [] } = incident.state;
  if (prepared.length > 0 && decision.choice === 'approve')
    incident.warn(...prepared.map(({ says }) => `left as it is by ${decision.by}: ${says}`));
  else if (prepared.length > 0) {
    await incident.do(rollBackPrepared, { ...at, prepared, by: decision.by });
    incident.warn(...(incident.state.prepared ?? []).map(({ says }) => `not rolled back: ${says}`));
  }
  try {
    await (decision.choice === 'only' ? incident.do(putOneBack, at) : incident.do(putInPlace, at));
    return true;
  } catch (error) {
    if (error instanceof HandedBack && error.problem.type === 'WrittenBehindFence') return false;
    throw error;
  }
}
