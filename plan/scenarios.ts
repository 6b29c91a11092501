import type { ScenarioName } from '../vocabulary/scenario.js';

/** The steps of each scenario in their order: what `lifeboat document` prints, `watch` shows as still ahead, and the workflow runs. Pure. */

export interface StepText {
  name: string;
  /** What it does, as the printed document says it. */
  does: string;
  /** When it is part of the run; always, by default. */
  when?: string;
}

export interface ScenarioText {
  title: string;
  symptoms: string[];
  steps: readonly StepText[];
}

export const databaseCorruptionSteps = [
  {
    name: 'Check the request',
    does: 'The database, the target, a backup that fits it and the free space are checked. What cannot work is refused here, before anything is stopped.',
  },
  {
    name: 'Stop writes',
    does: 'The services that write to the database are stopped, the database is closed to everyone but Lifeboat, its sessions are ended, and a write is tried and must be refused.',
  },
  { name: 'Save evidence', does: 'Server log, control data, checksum and amcheck findings are copied aside, each with its SHA-256.' },
  {
    name: 'Assess the damage',
    does: 'Catalog, data checksums, heap and index structure and the queries of the plan decide: repairable, not repairable, or logically wrong.',
  },
  {
    name: 'Repair',
    does: 'The damaged indexes are rebuilt (REINDEX), tables rewritten where asked (VACUUM FULL), and the assessment runs again.',
    when: 'only indexes are damaged',
  },
  {
    name: 'Choose the backup',
    does: 'The backups that can reach the target are listed, newest first, each location in the order of the plan.',
    when: 'a repair is not enough, or a target was given',
  },
  {
    name: 'Restore beside',
    does: 'The backup is restored into a new directory beside the damaged one, on another port, with archiving off, and recovered to the target. A damaged backup is reported and the next one used.',
    when: 'a repair is not enough, or a target was given',
  },
  {
    name: 'Verify the restored copy',
    does: 'amcheck with heap and index checks, zero pages, row counts against their last known values, the queries of the plan, and the age of the canary: the RPO really reached.',
    when: 'restored',
  },
  { name: 'Approve', does: 'A person sees these figures and approves, or does not.', when: 'restored' },
  {
    name: 'Roll back what was prepared',
    does: 'Transactions that the copy holds prepared (PREPARE TRANSACTION), which would keep their locks until somebody ends them, are rolled back in it.',
    when: 'a person chose it',
  },
  {
    name: 'Put the one database back',
    does: 'Where the cluster has other databases, which a restore would take back with it: the one database is dumped out of the restored copy, loaded beside, compared, and given its name; the old one is renamed aside, and all others stay as they are.',
    when: 'a person chose only this database',
  },
  {
    name: 'Put it in place',
    does: 'The damaged data directory is renamed aside (quarantined), the restored one takes its place, starts, and is verified again; if it does not, the old one is put back.',
    when: 'restored',
  },
  { name: 'Resume the service', does: 'The database is opened, the services are started, and their health is verified from outside.' },
  {
    name: 'Watch',
    does: 'The services are watched from outside for the time that the plan says, and the database is: that it answers and takes writes.',
  },
  {
    name: 'Re-protect',
    does: 'The canary runs, archiving is proven, a new full backup is taken on the new timeline, and the standbys are rebuilt and streaming.',
  },
  { name: 'Report', does: 'The report is written: Markdown, JSON, and one HTML page with the timeline.' },
] as const satisfies readonly StepText[];

export const scenarioTexts: Record<ScenarioName, ScenarioText> = {
  'database-corruption': {
    title: 'A database is corrupted, or its data is wrong',
    symptoms: [
      'database connection errors',
      'invalid pages, checksum failures, index errors in the server log',
      'data that is missing or wrong',
      'application errors',
    ],
    steps: databaseCorruptionSteps,
  },
};

/** What stays open after a recovery until someone closes the incident. */
export const postRecoveryTasks = [
  { name: 'root-cause', text: 'Find the root cause' },
  { name: 'document-update', text: 'Update the plan and the procedures' },
  { name: 'debrief', text: 'Hold the debrief with the team' },
  { name: 'improvement', text: 'Put the improvement in place' },
  { name: 'customer-report', text: 'Write the report for customers' },
] as const;
