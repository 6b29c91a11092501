import { ApplicationFailure, CancellationScope, isCancellation, workflowInfo } from '@temporalio/workflow';
import { formatDuration } from '../../vocabulary/units.js';
import type { Incident } from '../incident.js';
import { problemOf } from '../problems.js';
import type { CopyFigures } from '../../vocabulary/incident.js';
import { isFailureOf } from './failures.js';
import { protectAgain } from './protect-again.js';
import { leftBehind } from './put-aside.js';
import { damagedDirectory, isOneDatabase, setAsideDatabase, staysStopped } from '../ending.js';

/** What scenarios on a database do with its services: stop, resume, make safe, roll back. */

const serviceNames = (incident: Incident) => incident.plan.services.map(({ name }) => name);

/** Stops every service of the database on all of its hosts at once. Returns a line for each, and for each that could not be. */
export async function stopServices(incident: Incident): Promise<{ stopped: string[]; failed: string[] }> {
  const stopped: string[] = [];
  const failed: string[] = [];
  await eachService(incident, async (service, host) => {
    try {
      stopped.push((await incident.host(host, 'change').stopService({ form: incident.form('production'), service })).summary);
    } catch (error) {
      if (isCancellation(error)) throw error;
      failed.push(`${service} on ${host} was not stopped: ${problemOf(error).message}`);
    }
  });
  return { stopped, failed };
}

export async function startServices(incident: Incident): Promise<string[]> {
  const started: string[] = [];
  await eachService(incident, async (service, host) => {
    started.push((await incident.host(host, 'change').startService({ form: incident.form('production'), service })).summary);
  });
  return started;
}

async function eachService(incident: Incident, work: (service: string, host: string) => Promise<void>): Promise<void> {
  await Promise.all(incident.plan.services.flatMap(({ name, hosts }) => hosts.map((host) => work(name, host))));
}

/** Opens the database, starts its services, and asks them from outside. */
export async function resumeService(incident: Incident) {
  const form = incident.form('production');
  const opened = await incident.host(incident.plan.primary, 'change').openDatabase({ form, ...incident.names });
  incident.warn(...opened.warnings);
  const started = await startServices(incident);
  const health = await incident.control('look').checkHealth({ form, services: serviceNames(incident) });
  return { summary: [opened.summary, ...started, health.summary].join('; '), verified: true };
}

/** Opened and verified once by this incident: what does not run any more was not left so by a person. */
export const wasResumed = ({ state }: Incident): boolean => state.measured.rtoSeconds !== null;

/**
 * Watches the services from outside and the database on its host, each for as long as the plan says. Watched again after something was down, what
 * does not run is started first: nothing else would.
 */
export async function watch(incident: Incident, attempt: number): Promise<{ summary: string }> {
  const form = incident.form('production');
  const services = serviceNames(incident);
  const database = (once: boolean) =>
    incident.host(incident.plan.primary, once ? 'look' : 'long').watchDatabase({ form, database: incident.input.database, services, once });
  const started = attempt > 1 && wasResumed(incident) ? [(await resumeService(incident)).summary] : [];
  const scope = new CancellationScope();
  try {
    const watched = await scope.run(() => Promise.all([incident.control('long').watchServices({ form, services }), database(false)]));
    return { summary: [...started, ...watched.map(({ summary }) => summary)].join('; ') };
  } catch (error) {
    // The other one is of no more use.
    scope.cancel();
    if (isCancellation(error)) throw error;
    // A service that is ill because its database is down: that is the one to say.
    await database(true);
    throw error;
  }
}

/**
 * Ends in a stated, safe state: the copy's server is stopped (a drill's copy is removed), the hold on the data directory ends, and the
 * service is resumed only where a person asked for it. What cannot be reached is said, with what to do by hand.
 */
export async function makeSafe(incident: Incident, resume: boolean): Promise<string> {
  const { primary } = incident.plan;
  const agent = incident.host(primary, 'tidy');
  const said: string[] = [];
  const attempt = async (work: () => Promise<string>, otherwise: string) => {
    said.push(await work().catch((error: unknown) => `${otherwise} (${problemOf(error).message})`));
  };
  if (!incident.real) {
    // The copy is a drill's own; production was not touched, so nothing else is to be put back.
    await attempt(
      async () => (await agent.discardCopy({ form: incident.form('scratch'), ...incident.names })).summary,
      `the scratch copy on ${primary} could not be removed: lifeboat doctor shows it`,
    );
    return `${incident.input.mode} ended: production was not touched; ${said.join('; ')}`;
  }
  const aborted = incident.state.phase !== 'recovered';
  if (aborted) {
    await attempt(
      async () => (await agent.stopCopy({ form: 'execute', ...incident.names })).summary,
      `the restored copy on ${primary} may still run`,
    );
    const one = incident.state.steps.filter(({ name }) => name === 'Put the one database back');
    // Where only one database was put back, no directory was moved, and nothing is to be told by one.
    if (one.some(({ status }) => status === 'done')) incident.state.canRollBack = false;
    else {
      await attempt(
        () => recordPlace(incident),
        `which directory is in place on ${primary} could not be seen: look there before you do anything`,
      );
    }
    if (one.length > 0) {
      await attempt(
        async () => (await agent.settleOne({ form: 'execute', ...incident.names })).summary,
        `which database of the name is in place on ${primary} could not be seen: look there before you do anything`,
      );
    }
    if (resume) {
      await attempt(
        async () => (await resumeService(incident)).summary,
        'the service could not be resumed: open the database and start it by hand',
      );
    }
  }
  await attempt(
    async () => (await agent.release({ form: 'execute', ...incident.names })).summary,
    `the hold on the data directory of ${primary} could not be released`,
  );
  const writes =
    resume || !staysStopped(incident.state)
      ? ''
      : '; services that were stopped stay stopped: to resume as it stands, lifeboat abort --resume';
  return `${said.join('; ')}${writes}`;
}

/** What is in place is looked at, and not concluded from how far the scenario came: it may have been ended between two renames. */
async function recordPlace(incident: Incident): Promise<string> {
  const place = await incident
    .host(incident.plan.primary, 'tidy')
    .settlePlace({ form: 'execute', ...incident.names, placed: wasPlaced(incident) });
  const { state } = incident;
  if (place.quarantine && !state.quarantine.some(({ path }) => path === place.quarantine)) {
    const what = place.inPlace === 'restored' ? damagedDirectory : 'the restored copy, not in use';
    state.quarantine.push({ host: place.host, path: place.quarantine, bytes: place.bytes, what });
  }
  // Something was put in place, and what it replaced is no longer where it was kept: no directory is left to tell by.
  const gone = state.canRollBack && place.quarantine === null;
  state.canRollBack = false;
  return gone ? 'the restored copy is in place; the damaged one is no longer where it was kept' : place.summary;
}

/** Something was put in place by this incident, whatever became of it since. */
const wasPlaced = ({ state }: Incident): boolean => state.quarantine.some(({ what }) => what === damagedDirectory);

/** What is in place must be what this incident put there: another one may have restored again since, and its copy is not put aside for this one. */
export async function mayRollBack(incident: Incident): Promise<void> {
  const now = await incident
    .host(incident.plan.primary, 'look')
    .copyFigures({ form: 'execute', database: incident.input.database, count: false });
  demandOwn(incident, now);
}

function demandOwn({ state }: Incident, now: CopyFigures): void {
  const { placed } = state;
  if (placed?.timeline == null || now.timeline === null || placed.timeline === now.timeline) return;
  throw ApplicationFailure.create({
    type: 'WrongTarget',
    nonRetryable: true,
    message: `what is in place is on timeline ${now.timeline}, and incident ${state.id} put a copy on timeline ${placed.timeline} there: something was restored since`,
    details: [
      {
        hint: 'What came later is rolled back first: see lifeboat incidents, then lifeboat decide roll-back --incident NAME --reason "..."',
      },
    ],
  });
}

/** What does not last was not achieved. */
function notAchieved({ state }: Incident): void {
  const { rtoSeconds } = state.measured;
  const reached = rtoSeconds === null ? '' : `; the service had been verified after ${formatDuration(rtoSeconds)}`;
  state.measured = {
    ...{ rtoSeconds: null, rtoNote: `the recovery was rolled back${reached}` },
    ...{ rpoSeconds: null, rpoNote: 'the recovery was rolled back; what stays behind in its copy stands under what was lost' },
  };
}

/** Puts the quarantined copy back and resumes on it. What was in place meanwhile is kept aside. */
export async function rollBack(incident: Incident): Promise<void> {
  const { primary } = incident.plan;
  const agent = () => incident.host(primary, 'change');
  const figures = (count: boolean) =>
    incident.host(primary, 'change').copyFigures({ form: 'execute', database: incident.input.database, count });
  let aside: CopyFigures | undefined;
  // Once is enough: a second one would end the first in its middle.
  incident.state.canRollBack = false;
  const whole = !isOneDatabase(incident.state);
  await incident.step(
    'Stop the service again',
    async () => {
      // It may have been restored in the moment before this one took the lock.
      demandOwn(incident, await figures(false));
      const { stopped, failed } = await stopServices(incident);
      const closed = await agent().stopWrites({ form: 'execute', ...incident.names });
      // Nobody writes to it any more, and it is not moved yet.
      aside = await figures(true);
      notAchieved(incident);
      return { summary: [...stopped, ...failed, closed.summary].join('; ') };
    },
    { host: primary },
  );
  await incident.step(
    'Put the old copy back',
    async () => {
      if (!whole) return renameBack(incident, aside!, () => figures(true));
      const back = await agent().putBack({ form: 'execute', ...incident.names });
      incident.state.quarantine = [
        ...incident.state.quarantine.filter(({ host, what }) => host !== primary || what !== damagedDirectory),
        { host: primary, path: back.quarantine, bytes: back.bytes, what: 'the restored copy that was rolled back' },
      ];
      incident.state.canRollBack = false;
      incident.state.lost = leftBehind(incident.state.placed, aside!, await figures(true), `${back.quarantine} on ${primary}`);
      // They were of the copy that is put aside.
      incident.state.rows = [];
      return back;
    },
    { host: primary },
  );
  await incident.step('Resume on the old copy', () => resumeService(incident), {
    host: primary,
    otherwise: () => ({ summary: 'resumed by hand', verified: false }),
  });
  await incident.step('Re-protect', () => backUpTheOldOne(incident), { host: primary, otherwise: () => ({ summary: 'not protected' }) });
  await incident.step('Release', () => agent().release({ form: 'execute', ...incident.names }), {
    host: primary,
    otherwise: () => ({ summary: '', closed: false }),
  });
  if (whole) incident.warn('the standbys followed the restored copy: rebuild them when you know which copy stays');
}

/** Only one database was put back: it has its old one again, in the same server. */
async function renameBack(incident: Incident, aside: CopyFigures, now: () => Promise<CopyFigures>) {
  const { state, plan } = incident;
  const back = await incident.host(plan.primary, 'change').putOneAway({ form: 'execute', ...incident.names });
  state.quarantine = [
    ...state.quarantine.filter(({ what }) => what !== setAsideDatabase),
    { host: back.host, path: back.aside, bytes: back.bytes, what: 'the database that was rolled back, renamed aside in the server' },
  ];
  state.lost = leftBehind(state.placed, aside, await now(), `the database ${back.aside} on ${plan.primary}`);
  state.rows = [];
  return back;
}

/**
 * The newest backup is of the copy that was given up, and leads nowhere. What is in place now may be what was damaged: that it cannot be backed up holds up
 * no roll-back, and is said.
 */
async function backUpTheOldOne(incident: Incident): Promise<{ summary: string }> {
  try {
    return await protectAgain(incident, `${workflowInfo().runId}-rolled-back`);
  } catch (error) {
    const why = isFailureOf(error, 'CommandFailed', 'BackupDamaged', 'BadRequest', 'LocationUnreachable', 'ServerFailed');
    if (!why) throw error;
    incident.warn(`no backup leads to the old copy as it is now, and none could be taken (${why}): lifeboat backup create --full`);
    return { summary: `NOT protected: ${why}` };
  }
}
