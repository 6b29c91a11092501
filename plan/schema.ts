import { z } from 'zod';
import { absolutePath, cron, duration, name, percent, prefix, secret, timezone } from './values.js';
import { scenarioNames } from '../vocabulary/scenario.js';

/** The plan file, as its author writes it. `load.ts` reads it; `lifeboat.schema.json` is generated from here. */

const perHost = <T extends z.ZodType>(value: T) => z.union([value, z.record(name, value)]);

const httpUrl = z.string({ error: 'an http or https URL' }).regex(/^https?:\/\//);
const caFile = absolutePath
  .optional()
  .describe('The certificate authority of the endpoint, when the system does not know it');

const objectives = z.strictObject({
  rto: duration.describe('How long the service may be away'),
  rpo: duration.describe('How much data, in time, may be lost'),
});

const host = z.strictObject({
  region: z.string().min(1).describe('Where the host stands'),
  address: z
    .string()
    .min(1)
    .optional()
    .describe('Name or address at which other hosts reach it; its own name by default'),
  scratch: absolutePath
    .optional()
    .describe(
      'A directory, owned by the user that PostgreSQL runs as, where backups are restored to be tested, apart from any database',
    ),
});

const s3 = z.strictObject({
  bucket: z.string().min(1).describe('The bucket; it must exist'),
  region: z.string().min(1).default('us-east-1').describe('Its region; us-east-1 by default'),
  prefix,
  endpoint: httpUrl.optional().describe('Where the service is, when it is not AWS: https://s3.example.com'),
  pathStyle: z
    .boolean()
    .default(false)
    .describe('The bucket stands in the path and not in the host name, as most services beside AWS want it'),
  accessKeyId: secret
    .optional()
    .describe('Without one, the credentials of the machine: environment, profile, instance role'),
  secretAccessKey: secret.optional().describe('The secret of that key'),
  caFile,
});

const azure = z.strictObject({
  account: z.string().min(1).describe('The storage account'),
  container: z.string().min(1).describe('The container; it must exist'),
  prefix,
  key: secret.describe('A key of the account'),
  endpoint: httpUrl
    .optional()
    .describe('Where the service is, when it is not blob.core.windows.net; with the account at its end'),
  caFile,
});

const gcs = z.strictObject({
  bucket: z.string().min(1).describe('The bucket; it must exist'),
  prefix,
  credentials: secret
    .optional()
    .describe('The JSON key of a service account; without one, the credentials of the machine'),
  endpoint: httpUrl.optional().describe('Where the service is, when it is not storage.googleapis.com'),
  caFile,
});

const sftp = z.strictObject({
  host: z.string().min(1).describe('The name or address of the server'),
  port: z.int().min(1).max(65_535).default(22).describe('Its SSH port; 22 by default'),
  user: z.string().min(1).describe('Who logs in'),
  directory: absolutePath.describe('The directory on the server; it must exist'),
  privateKey: secret.describe('The private key that logs in: file:PATH'),
  hostKey: z
    .string({ error: 'the public key of the server, such as "ssh-ed25519 AAAA...", as ssh-keyscan prints it' })
    .regex(/^(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+/)
    .describe(
      'The public key of the server, as `ssh-keyscan` prints it after the name: whoever else answers is refused',
    ),
});

/** Exactly one of the kinds; references.ts says so, with what is wrong, better than a union could. */
const location = z.strictObject({
  directory: absolutePath.optional().describe('A directory, best on another disk or a network mount'),
  s3: s3.optional().describe('Amazon S3, or what speaks its language'),
  azure: azure.optional().describe('Azure Blob Storage'),
  gcs: gcs.optional().describe('Google Cloud Storage'),
  sftp: sftp.optional().describe('A server that is reached over SSH'),
  encryption: secret
    .optional()
    .describe(
      'The passphrase that backups are encrypted with. Without one they lie open; restic (files, Redis) encrypts always, then with the word lifeboat',
    ),
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
  dataDirectory: perHost(absolutePath)
    .optional()
    .describe(
      'The data directory, or one for each host; without one (a managed database), only logical backups are possible',
    ),
  url: secret
    .optional()
    .describe(
      'Its connection string, when it is not reached over the local socket: postgres://user:password@host/name',
    ),
  port: perHost(z.int().min(1).max(65_535)).default(5432).describe('The port, or one for each host'),
  socketDirectory: perHost(absolutePath)
    .default('/var/run/postgresql')
    .describe('Where its Unix socket is, or one for each host; /var/run/postgresql by default'),
  binDirectory: absolutePath
    .optional()
    .describe('Where pg_ctl is; found from the version of the data directory by default'),
  configFile: absolutePath.optional().describe('postgresql.conf, when it is not in the data directory (Debian)'),
  user: z
    .string()
    .min(1)
    .default('postgres')
    .describe('The superuser that Lifeboat connects as, over the local socket'),
  password: secret.optional().describe('Its password; without one, peer authentication'),
  replication: z
    .strictObject({
      user: z.string().min(1).describe('Its name'),
      password: secret.optional().describe('Its password'),
    })
    .optional()
    .describe('The role that standbys replicate as; the superuser by default'),
  systemd: z.string().min(1).optional().describe('The unit that starts and stops the server; pg_ctl by default'),
  debianCluster: z
    .string({ error: 'version and name of the cluster, such as 15-main' })
    .regex(/^\d+(\.\d+)?-[\w.-]+$/)
    .optional()
    .describe(
      'The cluster that pg_ctlcluster starts and stops, where there is no systemd (Debian): version and name, such as 15-main',
    ),
});

const count = (of: string) => z.int().min(1).optional().describe(of);

/** A backup that any of these rules keeps is kept. */
const keep = z.strictObject({
  last: count('The newest ones, so many'),
  daily: count('The newest of each day, for so many days'),
  monthly: count('The newest of each month, for so many months'),
  for: duration.optional().describe('All that are younger than this'),
});

/** What every scheduled backup has, whatever it is of. */
const kept = {
  locations: z.array(name).min(1).describe('Where they go, in the order of preference for a restore'),
  schedule: cron.optional().describe('When one is taken'),
  keep: keep
    .default({ daily: 30 })
    .describe('Which are kept: whatever any of these rules keeps; 30 daily ones by default'),
};

const physical = z.strictObject({
  engine: z.enum(['pgbackrest', 'wal-g']).default('pgbackrest').describe('The program that takes and restores them'),
  locations: z.array(name).min(1).describe('Where backups and WAL go, in the order of preference for a restore'),
  full: cron.optional().describe('When everything is backed up'),
  differential: cron.optional().describe('When what changed since the last full backup is'),
  incremental: cron.optional().describe('When what changed since the last backup of any kind is'),
  keep: z
    .strictObject({
      full: z.int().min(1).default(7).describe('The newest full backups, so many, each with what is based on it'),
      daily: count('The newest full backup of each day, for so many days'),
      monthly: count('The newest full backup of each month, for so many months'),
      incremental: duration
        .optional()
        .describe('Differential and incremental backups that are older go; as long as their full one by default'),
    })
    .default({ full: 7 })
    .describe('Which are kept: whatever any of these rules keeps'),
});

const logical = z.strictObject({
  ...kept,
  compression: z.boolean().default(true).describe('Compressed with zstd; true by default'),
});

const tested = z.strictObject({
  host: name.describe('The host that restores it: one of the database, or one with a scratch directory'),
  schedule: cron.optional().describe('When'),
});

const verify = z.strictObject({
  rows: z
    .record(
      z.string().min(1),
      z.strictObject({
        maxDrop: percent.optional().describe('How many rows it may have fewer than last known; 0% by default'),
      }),
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
  backups: z.strictObject({
    physical: physical.optional().describe('Base backups and WAL: any moment can be restored'),
    logical: logical.optional().describe('Dumps of the one database, by pg_dump'),
    verification: tested.optional().describe('The newest backup is restored to scratch and verified; weekly is usual'),
    restoreTest: tested.optional().describe('A whole restore to staging, from each location in turn; monthly is usual'),
  }),
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
  objectives: z
    .strictObject({ rto: objectives.shape.rto })
    .optional()
    .describe(
      "How long it may be away; the RTO of its database by default. Its data is the database's, and so is its RPO",
    ),
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
  escalateAfter: duration
    .optional()
    .describe('After this without an answer, the next one is called; printed, not done by Lifeboat yet'),
});

const drill = z.strictObject({
  scenario: z.enum(scenarioNames).describe('What is drilled'),
  database: name.optional().describe('Needed when the plan has several'),
  schedule: cron.describe('When'),
});

const files = z.strictObject({
  host: name.describe('The host that they are on'),
  paths: z.array(absolutePath).min(1).describe('Directories and files: uploads, configuration, .env, certificates'),
  exclude: z.array(z.string().min(1)).default([]).describe('Patterns that are left out, as restic reads them'),
  objectives: objectives.optional(),
  ...kept,
});

const redis = z.strictObject({
  host: name.describe('The host that it runs on'),
  port: z.int().min(1).max(65_535).default(6379).describe('Its port; 6379 by default'),
  password: secret.optional().describe('Its password'),
  objectives: objectives.optional(),
  ...kept,
});

const code = z.strictObject({
  host: name.describe('The host that fetches it'),
  repositories: z.record(name, z.string().min(1)).describe('Name: path or URL of each Git repository'),
  ...kept,
});

const notifications = z.strictObject({
  slack: z
    .strictObject({
      token: secret.describe('The bot token, with chat:write'),
      channel: z.string().min(1).describe('The channel'),
      url: httpUrl.optional().describe('Where the API is, when it is not https://slack.com/api/'),
    })
    .optional()
    .describe('Slack'),
  email: z
    .strictObject({
      host: z.string().min(1).describe('The SMTP server'),
      port: z.int().min(1).max(65_535).default(587).describe('Its port; 587 by default'),
      tls: z
        .enum(['starttls', 'tls', 'none'])
        .default('starttls')
        .describe('starttls by default; tls: from the first byte; none: a local relay'),
      user: z.string().min(1).optional().describe('Who logs in'),
      password: secret.optional().describe('Their password'),
      from: z.string().min(3).describe('The sender'),
      to: z.array(z.string().min(3)).min(1).describe('Who is told'),
    })
    .optional()
    .describe('E-mail, by SMTP'),
  pagerduty: z
    .strictObject({
      routingKey: secret.describe('The integration key of Events API v2'),
      url: httpUrl.optional().describe('Where the API is, when it is not https://events.pagerduty.com'),
    })
    .optional()
    .describe('PagerDuty, for what is critical'),
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
  files: z.record(name, files).default({}),
  redis: z.record(name, redis).default({}),
  code: z.record(name, code).default({}),
  notifications: notifications.default({}),
  people: people.default({ roles: {}, onCall: [], contacts: {} }),
  drills: z.array(drill).default([]),
});

/** A plan as Lifeboat uses it: durations in seconds, percentages as fractions, defaults filled in. */
export type Plan = z.output<typeof planSchema>;
export type PlanFile = z.input<typeof planSchema>;
export type DatabasePlan = Plan['databases'][string];
export type LocationPlan = Plan['locations'][string];
export type Keep = z.output<typeof keep>;
export type ServicePlan = Plan['services'][string];
export type Control = ServicePlan['control'];
