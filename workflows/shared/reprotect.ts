import { workflowInfo } from '@temporalio/workflow';
import type { Incident } from '../incident.js';

/** After a recovery: the canary and archiving run, a new full backup is taken on the new timeline, and every standby streams. */
export async function reprotect(incident: Incident): Promise<void> {
  const { primary, standbys } = incident.plan;
  await incident.step('Re-protect', () => protectAgain(incident), {
    host: primary,
    otherwise: () => ({ summary: 'the database is NOT protected until a backup is taken' }),
  });
  // The hold on the data directory ends here: scheduled backups go on although the incident stays open for its tasks.
  await incident.step(
    'Release',
    () =>
      incident
        .host(primary, 'change')
        .release({ form: incident.form('production'), database: incident.input.database, incident: incident.state.id }),
    {
      host: primary,
      otherwise: () => ({ summary: 'still held', closed: false }),
    },
  );
  for (const standby of standbys) {
    await incident.step(`Rebuild standby ${standby}`, () => rebuild(incident, standby), {
      host: standby,
      otherwise: () => ({ summary: `${standby} does not protect anything until it is rebuilt` }),
    });
  }
}

/** Throws what its activities fail with. `run`: a backup that this one took already is not taken again. */
export async function protectAgain(incident: Incident, run = workflowInfo().runId) {
  const names = { database: incident.input.database, incident: incident.state.id };
  const form = incident.form('production');
  const agent = incident.host(incident.plan.primary, 'long');
  const archiving = await agent.protect({ form, ...names });
  const backup = await agent.takeBackup({
    form,
    component: incident.input.database,
    incident: incident.state.id,
    type: 'full',
    run,
  });
  incident.warn(...backup.failed.map((location) => `the new backup is missing at ${location}`));
  return { summary: `${archiving.summary}; ${backup.summary}` };
}

async function rebuild(incident: Incident, standby: string) {
  const rebuilt = await incident.host(standby, 'long').rebuildStandby({
    form: incident.form('production'),
    database: incident.input.database,
    incident: incident.state.id,
  });
  if (rebuilt.quarantine)
    incident.state.quarantine.push({
      host: rebuilt.host,
      path: rebuilt.quarantine,
      bytes: rebuilt.bytes,
      what: 'the standby of the damaged database',
    });
  return rebuilt;
}
