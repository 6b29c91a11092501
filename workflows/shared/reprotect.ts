import type { Incident } from '../incident.js';
import { protectAgain } from './protect-again.js';
import { wasResumed } from './service.js';

/** After a recovery: the canary and archiving run, a new full backup is taken on the new timeline, and every standby streams. */
export async function reprotect(incident: Incident): Promise<void> {
  const { primary, standbys } = incident.plan;
  let attempts = 0;
  const again = async () => {
    attempts += 1;
    // It may have died since: what was open is opened again, since nothing else would start it.
    if (attempts > 1 && wasResumed(incident))
      await incident.host(primary, 'change').openDatabase({ form: incident.form('production'), ...incident.names });
    return protectAgain(incident);
  };
  await incident.step('Re-protect', again, {
    host: primary,
    otherwise: () => ({ summary: 'the database is NOT protected until a backup is taken' }),
  });
  // The hold on the data directory ends here: scheduled backups go on although the incident stays open for its tasks.
  await incident.step('Release', () => incident.host(primary, 'change').release({ form: incident.form('production'), ...incident.names }), {
    host: primary,
    otherwise: () => ({ summary: 'still held', closed: false }),
  });
  for (const standby of standbys) {
    await incident.step(`Rebuild standby ${standby}`, () => rebuild(incident, standby), {
      host: standby,
      otherwise: () => ({ summary: `${standby} does not protect anything until it is rebuilt` }),
    });
  }
}

async function rebuild(incident: Incident, standby: string) {
  const rebuilt = await incident.host(standby, 'long').rebuildStandby({ form: incident.form('production'), ...incident.names });
  if (rebuilt.quarantine)
    incident.state.quarantine.push({
      host: rebuilt.host,
      path: rebuilt.quarantine,
      bytes: rebuilt.bytes,
      what: 'the standby of the damaged database',
    });
  return rebuilt;
}
