import { z } from 'zod';
import { absolutePath, cron, duration, name, percent, secret, timezone } from './values.js';

/** The plan file, as its author writes it. `load.ts` reads it; `lifeboat.schema.json` is generated from here. */

const perHost = <T extends z.ZodType>(value: T) => z.union([value, z.record(name, value)]);

const objectives = z.strictObject({
  rto: duration.describe('How long the service may be away'),
  rpo: duration.describe('How much data, in time, may be lost'),
});

const host = z.strictObject({
  region: z.string().min(1).describe('Where the host stands'),
  address: z.string().min(1).optional().describe('Name or address at which other hosts reach it; its own name by default'),
});

const location = z.strictObject({
  directory: absolutePath.describe('A directory, best on another disk or a network mount'),
  encryption: secret.optional().describe('The passphrase that backups are encrypted with'),
});

const control = z
  .union([
    z.strictObject({ systemd: z.string().min(1).describe('The systemd unit') }),
    z.strictObject({
      start: z.array(z.string()).min(1).describe('The command that starts it, and returns'),
      stop: z.array(z.string()).min(1).describe('The command that stops it, and returns when it has stopped'),
      status: z.array(z.string()).min(1).describe('Exits 0 when it runs, and with another code when it does not'),
    }),
  ])
  .describe('How it is started and stopped');

const postgres = z.strictObject({
  primary: name.describe('The host of the primary'),
  standbys: z.array(name).default([]).describe('The hosts of its standbys'),
  dataDirectory: perHost(absolutePath).describe('The data directory, or one for each host'),
  port: perHost(z.int().min(1).max(65_535)).default(5432).describe('The port, or one for each host'),
  socketDirectory: perHost(absolutePath)
    .default('/var/run/postgresql')
    .describe('Where its Unix socket is, or one for each host; /var/run/postgresql by default'),
  binDirectory: absolutePath.optional().describe('Where pg_ctl is; found from the version of the data directory by default'),
  configFile: absolutePath.optional().describe('postgresql.conf, when it is not in the data directory (Debian)'),
  user: z.string().min(1).default('postgres').describe('The superuser that Lifeboat connects as, over the local socket'),
  password: secret.optional().describe('Its password; without one, peer authentication'),
  replication: z
    .strictObject({ user: z.string().min(1).describe('Its name'), password: secret.optional().describe('Its password') })
    .optional()
    .describe('The role that standbys replicate as; the superuser by default'),
  systemd: z.string().min(1).optional().describe('The unit that starts and stops the server; pg_ctl by default'),
});

const physical = z.strictObject({
  engine: z.literal('pgbackrest').default('pgbackrest').describe('The program that takes and restores them'),
  locations: z.array(name).min(1).describe('Where backups and WAL go, in the order of preference for a restore'),
  full: cron.optional().describe('When everything is backed up'),
  differential: cron.optional().describe('When what changed since the last full backup is'),
  incremental: cron.optional().describe('When what changed since the last backup of any kind is'),
  keep: z
    .strictObject({ full: z.int().min(1).default(7).describe('Full backups, each with what is based on it') })
    .default({ full: 7 })
    .describe('How many full backups are kept'),
});

const verify = z.strictObject({
  rows: z
    .record(
      z.string().min(1),
      z.strictObject({ maxDrop: percent.optional().describe('How many rows it may have fewer than last known; 0% by default') }),
    )
    .default({})
    .describe('Tables (schema.table, or table in public) whose rows are counted'),
  queries: z
    .array(
      z.strictObject({
        sql: z.string().min(1).describe('The query'),
        expect: z.union([z.string(), z.number(), z.boolean()]).describe('What it gives'),
      }),
    )
    .default([])
    .describe('Queries of one value, and the value that a healthy database gives'),
});

const database = z.strictObject({
  postgres,
  name: z.string().min(1).describe('The name of the database in the cluster'),
  objectives: objectives.optional(),
  backups: z.strictObject({ physical }),
  verify: verify.default({ rows: {}, queries: [] }),
});

const service = z.strictObject({
  database: name.optional().describe('The database that it writes to'),
  hosts: z.array(name).min(1).describe('Where it runs'),
  control,
  health: z.strictObject({
    url: z
      .string({ error: 'an http or https URL; {host} stands for the address of the host' })
      .regex(/^https?:\/\//)
      .describe('Answers with 2xx when the service is well; {host} stands for the address of the host'),
    within: duration.default(5).describe('It must answer within this; 5s by default'),
  }),
  watch: duration.default(60).describe('How long it is watched after it was resumed; 60s by default'),
});

const person = z.strictObject({
  name: z.string().optional().describe('As people call them'),
  phone: z.string().optional().describe('Printed in the document of the plan'),
  email: z.string().optional().describe('Printed in the document of the plan'),
});

const people = z.strictObject({
  roles: z.record(name, name).default({}).describe('Role: who has it'),
  onCall: z.array(name).default([]).describe('Who is called, in this order'),
  contacts: z.record(name, person).default({}).describe('How to reach people and outside providers'),
  escalateAfter: duration.optional().describe('After this without an answer, the next one is called; printed, not done by Lifeboat yet'),
});

export const scenarioNames = ['database-corruption'] as const;

const drill = z.strictObject({
  scenario: z.enum(scenarioNames).describe('What is drilled'),
  database: name.optional().describe('Needed when the plan has several'),
  schedule: cron.describe('When'),
});

export const planSchema = z.strictObject({
  system: name.describe('What this plan protects'),
  timezone: timezone.default('UTC').describe('Schedules are read in it'),
  objectives,
  approvals: z
    .strictObject({ people: z.int().min(1).max(2).describe('2: who declared the incident may not approve it') })
    .default({ people: 1 })
    .describe('How many people it takes to put a restored copy in place'),
  hosts: z.record(name, host),
  locations: z.record(name, location),
  databases: z.record(name, database),
  services: z.record(name, service).default({}),
  people: people.default({ roles: {}, onCall: [], contacts: {} }),
  drills: z.array(drill).default([]),
});

/** A plan as Lifeboat uses it: durations in seconds, percentages as fractions, defaults filled in. */
export type Plan = z.output<typeof planSchema>;
export type PlanFile = z.input<typeof planSchema>;
export type DatabasePlan = Plan['databases'][string];
export type ServicePlan = Plan['services'][string];
export type Control = ServicePlan['control'];
export type ScenarioName = (typeof scenarioNames)[number];
