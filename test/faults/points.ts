/**
 * The points at which the walks together must have killed an agent, by activity: before, during and after each effect.
 * What follows on a program that was killed in its middle is not always reached: PostgreSQL stops although the pg_ctl
 * that asked for it was killed.
 */
const program = (name: string) => [`before ${name}`, `during ${name}`];
export const whole = (name: string) => [...program(name), `after ${name}`];
export const renamed = (what: string) => [`before ${what}`, `after ${what}`];

/** `activity: point`, as the walk names them; of some, this is the beginning. */
export const namesOf = (points: Record<string, string[]>): string[] =>
  Object.entries(points).flatMap(([activity, of]) => ['begin', ...of, 'end'].map((point) => `${activity}: ${point}`));

export const untilAssessed = {
  checkRequest: [],
  stopService: program('node service-web-stop'),
  stopWrites: [
    ...whole('taking the claim'),
    ...whole('noting the log of the server'),
    ...whole('keeping pg_hba.conf'),
    ...whole('closing pg_hba.conf'),
    'after the reload',
    // Killed here, the server stops all the same, and the assessment starts it closed.
    ...program('pg_ctl main-pg_ctl-stop-fast'),
  ],
  saveEvidence: ['after keeping evidence'],
  assess: [
    'after making the socket directory',
    ...program('pg_ctl main-pg_ctl-start'),
    ...renamed('the restore point'),
    ...whole('noting where it was closed'),
    ...renamed('amcheck'),
    'midway, running amcheck',
    'after keeping evidence',
  ],
};

/** In an incident where nobody dies, the step before has done it. */
export const onlyAfterADeath = [
  'after making the socket directory',
  ...program('pg_ctl main-pg_ctl-start'),
  ...renamed('the restore point'),
].map((point) => `assess: ${point}`);

export const repair = { repair: ['before reindex', 'after reindex'] };

export const untilVerified = {
  listCandidates: [],
  restoreBeside: [
    ...whole('marking the copy as files'),
    'after making the scratch directories',
    ...whole('pgbackrest main-pgbackrest-restore'),
    'midway, restoring',
    ...whole('saying where the copy gets its WAL'),
    'after copying WAL that was not archived',
    ...whole('marking the copy as fetched'),
    'after making the socket directory',
    ...program('pg_ctl main-pg_ctl-start-scratch'),
    ...renamed('promoting the copy'),
    ...whole('marking the copy as recovered'),
  ],
  verifyRestored: [
    ...program('pg_ctl main-pg_ctl-start-scratch'),
    ...renamed('amcheck'),
    'midway, running amcheck',
    ...program('pg_ctl main-pg_ctl-stop-fast'),
    ...whole('pg_checksums'),
    'midway, looking for',
    'after keeping evidence',
  ],
};

export const putInPlace = {
  putInPlace: [
    ...program('pg_ctl main-pg_ctl-stop-fast'),
    ...whole('keeping pg_hba.conf'),
    ...whole('closing pg_hba.conf'),
    ...whole('taking the settings of recovery out'),
    ...whole('marking WAL to be archived'),
    ...renamed('moving the damaged directory aside'),
    ...renamed('moving the restored directory into place'),
    ...whole('marking the copy as placed'),
    'after making the socket directory',
    ...program('pg_ctl main-pg_ctl-start'),
  ],
};

export const untilReleased = {
  openDatabase: [
    ...renamed('lifting the fence'),
    'after the reload',
    ...program('pg_ctl main-pg_ctl-stop-fast'),
    ...program('pg_ctl main-pg_ctl-start'),
    'before the canary beats',
    'after the canary beat',
  ],
  startService: program('node service-web-start'),
  protect: ['before the canary beats', 'after the canary beat', ...whole('pgbackrest main-pgbackrest-check')],
  takeBackup: ['after noting the rows', ...whole('pgbackrest main-pgbackrest-backup'), 'midway, full backup'],
  release: renamed('releasing the claim'),
};

/** A standby that is ahead of the restored copy: it had received what the target leaves out. */
export const rebuildStandby = {
  rebuildStandby: [
    ...program('pg_ctl main-pg_ctl-stop-fast'),
    'after making the directory of the new standby',
    ...whole('pg_basebackup'),
    'midway, copying from',
    ...whole('marking the new standby as complete'),
    ...renamed('moving the old standby aside'),
    ...renamed('moving the new standby into place'),
    ...program('pg_ctl main-pg_ctl-start'),
  ],
};

/**
 * Segments of the old timeline that the copy took over: a restore to a time ends in the middle of one, and leaves
 * others behind.
 */
export const oldTimeline = whole('marking WAL of the old timeline').map((point) => `putInPlace: ${point}`);
