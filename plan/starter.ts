import type { Findings } from './findings.js';
import { absolutePath, name as planName, timezone } from './values.js';

export { findOnThisMachine, type Findings } from './findings.js';

/** The variable that the password of DATABASE_URL is to be exported as. */
const passwordVariable = 'PGPASSWORD';

/**
 * Renders a first plan, with comments, from what was found. It always passes `lifeboat check`: what was found and
 * cannot stand in a plan is replaced by a convention. `schema`: where editors find the JSON schema, relative to the
 * plan. Pure.
 */
export function starterPlan(
  findings: Findings,
  { schema = './lifeboat.schema.json' }: { schema?: string } = {},
): string {
  const found = findings.database;
  const host = nameOf(found?.host ?? findings.hostname, 'db1');
  const address = found?.host ?? 'localhost';
  const dataDirectory = path(found?.dataDirectory, '/var/lib/postgresql/15/main');
  const backups = backupDirectory(findings.backups?.directory, dataDirectory);
  const port =
    found?.port !== undefined && Number.isInteger(found.port) && found.port > 0 && found.port < 65_536
      ? found.port
      : 5432;
  const rows = [...new Set(found?.tables)].filter((each) => each !== '__proto__');
  return `# yaml-language-server: $schema=${schema}
# The line above gives editors completion and checks; \`lifeboat init\` writes the schema beside this file.
#
# The plan of one system: what is protected, how well, by whom. After every change, type: lifeboat check
# No secret belongs in here, only references to one: env:NAME or file:PATH.

system: ${nameOf(found?.name === 'postgres' ? undefined : found?.name, nameOf(findings.hostname, 'system'))}
timezone: ${text(timezone.safeParse(findings.timezone).success ? findings.timezone : 'UTC')} # schedules are read in it

# EDIT: what your users can bear. Every incident and every drill is measured against these.
objectives:
  rto: 1h # how long the service may be away
  rpo: 15m # how much data, in time, may be lost

# Machines with a Lifeboat agent on them.
hosts:
  ${host}:
    region: main # EDIT: where it stands
    address: ${text(address)} # at which other hosts reach it

# Where backups are kept.
locations:
  onsite:
    directory: ${text(backups)} # EDIT: best another disk or a network mount; the directory above it must be there
    # encryption: env:BACKUP_PASSPHRASE # encrypts the backups; decide before the first one, and keep the passphrase elsewhere too
  # offsite: { s3: { bucket: NAME, region: us-east-1 }, encryption: env:BACKUP_PASSPHRASE } # or azure, gcs, sftp

databases:
  main:
    name: ${text(found?.name || 'postgres')}${found ? '' : ' # EDIT: your database'}
    postgres:
      primary: ${host}
      # standbys: [db2] # more hosts, each named below hosts too
      dataDirectory: ${text(dataDirectory)}${found?.dataDirectory ? '' : ' # EDIT: what SHOW data_directory says'}
      port: ${port}
${optional('socketDirectory', found?.socketDirectory)}${optional('configFile', found?.configFile, ' # it is not in the data directory')}${access(found)}${unit(found)}    backups:
      physical:
        locations: [onsite]
        full: 0 2 * * 0 # Sundays at 02:00
        differential: 0 2 * * 1-6 # the other days
        keep: { full: ${findings.backups?.keepFull ?? 7} }
      # logical: { locations: [onsite], schedule: 0 3 * * * } # dumps of the one database, by pg_dump
      verification: { host: ${host}, schedule: 0 4 * * 0 } # Sundays: the newest backup is restored beside, verified and removed
    verify: # what a restored copy must show before it goes into place
${verifyRows(rows)}      queries: []
      # - { sql: "select count(*) from orders where total < 0", expect: 0 }

# What writes to the database. Lifeboat stops it before a restore, and starts and checks it afterwards.
services: {}
#  backend:
#    database: main
#    hosts: [${host}]
#    control: { systemd: backend } # or: start, stop and status, each a command
#    health: { url: "http://{host}:8080/health", within: 2s }

# More that can be backed up; docs/plan.md has every key, examples/ whole plans.
# files: { uploads: { host: ${host}, paths: [/srv/uploads], locations: [onsite], schedule: 0 1 * * *, keep: { for: 90d } } }
# redis: { cache: { host: ${host}, locations: [onsite], schedule: 30 1 * * * } }
# code: { site: { host: ${host}, repositories: { site: /srv/site.git }, locations: [onsite], schedule: 45 1 * * * } }

# EDIT: who is called, and how.
people:
  onCall: []
  roles: {}
  contacts: {}
#  onCall: [asha, ben]
#  escalateAfter: 10m
#  roles: { incidentCommander: asha, technicalLead: ben }
#  contacts:
#    asha: { name: Asha Rao, phone: "+91 22 5550 0100", email: asha@example.com }
#    ben: { name: Ben Okoro, phone: "+44 20 7946 0000", email: ben@example.com }

# Who is told when a backup fails, is late or cannot be verified; pagerduty and email too.
# notifications: { slack: { token: env:SLACK_TOKEN, channel: "#ops" } }

# A drill runs the real steps on a scratch copy.
drills:
  - { scenario: database-corruption, database: main, schedule: "0 3 1 1,4,7,10 *" } # every quarter
`;
}

/** What the person who ran init still has to do besides editing, one line each. Never holds a secret. */
export function starterNotes(findings: Findings): string[] {
  const notes = [...findings.notes];
  if (findings.database?.hasPassword) {
    notes.push(
      `DATABASE_URL has a password. It was not copied: the plan says env:${passwordVariable}. Where Lifeboat runs, set it yourself: export ${passwordVariable}=...`,
    );
  }
  return notes;
}

/** Any text as a value of YAML: plain where that is safe, else in the double quotes of JSON. */
function text(value: string): string {
  const safe = /^[A-Za-z/][\w./@+-]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);
  return safe ? value : JSON.stringify(value);
}

/** The nearest name that a plan allows: `web-01.example.com` gives `web-01`. */
function nameOf(given: string | undefined, otherwise: string): string {
  const isAddress = given !== undefined && /^[\d.]+$|:/.test(given);
  const candidate = isAddress
    ? ''
    : (given ?? '')
        .split('.')[0]!
        .replace(/[^A-Za-z0-9_-]+/g, '-')
        .replace(/^[^A-Za-z]+/, '')
        .replace(/-+$/, '')
        .slice(0, 63);
  const reserved = /^(true|false|null)$/i.test(candidate);
  return !reserved && planName.safeParse(candidate).success ? candidate : otherwise;
}

const path = (given: string | undefined, otherwise: string): string =>
  absolutePath.safeParse(given).success ? given! : otherwise;

/** Never inside of the data directory: it would be moved aside together with the damage. */
function backupDirectory(given: string | undefined, dataDirectory: string): string {
  const directory = path(given, '/var/backups/lifeboat');
  if (!`${directory}/`.startsWith(`${dataDirectory.replace(/\/+$/, '')}/`)) return directory;
  return dataDirectory.startsWith('/var/backups') ? '/srv/lifeboat-backups' : '/var/backups/lifeboat';
}

const optional = (key: string, value: string | undefined, comment = ''): string =>
  value !== undefined && absolutePath.safeParse(value).success ? `      ${key}: ${text(value)}${comment}\n` : '';

function access(found: Findings['database']): string {
  const user = `      user: ${text(found?.user || 'postgres')} # a superuser\n`;
  return found?.hasPassword
    ? `${user}      password: env:${passwordVariable} # from the environment of Lifeboat\n`
    : `${user}      # password: env:${passwordVariable} # without one: peer authentication\n`;
}

function unit(found: Findings['database']): string {
  if (found?.systemd) return `      systemd: ${text(found.systemd)} # starts and stops the server\n`;
  return found?.debianCluster
    ? `      debianCluster: ${text(found.debianCluster)} # pg_ctlcluster starts and stops the server\n`
    : '';
}

function verifyRows(tables: string[]): string {
  if (tables.length === 0) return '      rows: {} # EDIT: your critical tables, such as users: { maxDrop: 1% }\n';
  return `      rows: # the tables with most rows\n${tables.map((each) => `        ${text(each)}: { maxDrop: 1% }\n`).join('')}`;
}
