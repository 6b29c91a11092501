import { PlanError, parsePlan, type PlanProblem } from '../../plan/load.js';
import type { Plan } from '../../plan/schema.js';

/** A whole plan to make mistakes in: two databases, three hosts, one service. Its lines are counted on by tests. */
export const good = `system: shop
timezone: Asia/Kolkata
objectives: { rto: 1h, rpo: 15m }
hosts:
  db1: { region: here, address: 192.0.2.1 }
  db2: { region: there }
  app1: { region: here }
locations:
  onsite: { directory: /mnt/backups, encryption: env:BACKUP_PASSPHRASE }
  offsite: { directory: /mnt/offsite }
databases:
  main:
    name: shop
    objectives: { rto: 15m, rpo: 5m }
    postgres:
      primary: db1
      standbys: [db2]
      dataDirectory: { db1: /srv/a/main, db2: /srv/b/main }
      port: 5432
      password: file:secrets/postgres
      replication: { user: replicator, password: env:REPLICATION_PASSWORD }
    backups:
      physical: { locations: [onsite, offsite], full: 0 2 * * 0, keep: { full: 3 } }
    verify:
      rows: { users: {}, orders: { maxDrop: 1% } }
      queries: [{ sql: select count(*) from orders where total < 0, expect: 0 }]
  stock:
    name: stock
    postgres: { primary: db1, dataDirectory: /srv/a/stock, port: 5433 }
    backups: { physical: { locations: [offsite] } }
services:
  backend:
    database: main
    hosts: [app1]
    control: { systemd: backend }
    health: { url: "http://{host}:8080/health", within: 2s }
people:
  onCall: [ben, asha]
  roles: { incidentCommander: asha }
  contacts: { asha: { name: Asha Rao, phone: "+91 1" }, ben: { email: ben@example.com } }
  escalateAfter: 10m
drills:
  - { scenario: database-corruption, database: main, schedule: "0 3 1 1,7 *" }
`;

/** A plan with everything that can be backed up, at every kind of location. */
export const whole = `system: shop
objectives: { rto: 1h, rpo: 15m }
hosts:
  db1: { region: here }
  db2: { region: there }
  app1: { region: here }
  test1: { region: here, scratch: /srv/scratch }
locations:
  disk: { directory: /mnt/backups }
  aws: { s3: { bucket: shop, prefix: a/b, accessKeyId: env:S3_KEY, secretAccessKey: env:S3_SECRET }, encryption: env:PASSPHRASE }
  minio: { s3: { bucket: shop, endpoint: "https://s3.example.com:9000", pathStyle: true }, encryption: env:PASSPHRASE }
  blob: { azure: { account: shop, container: backups, key: env:AZURE_KEY }, encryption: env:PASSPHRASE }
  google: { gcs: { bucket: shop, credentials: file:secrets/google.json } }
  server: { sftp: { host: backup.example.com, user: shop, directory: /srv/backups, privateKey: file:secrets/key, hostKey: ssh-ed25519 AAAA } }
databases:
  main:
    name: shop
    postgres: { primary: db1, standbys: [db2], dataDirectory: /srv/pg/main }
    backups:
      physical: { locations: [disk, aws, blob, google, server], full: 0 2 * * 0, incremental: 0 */6 * * *, keep: { full: 2, daily: 30, monthly: 12, incremental: 7d } }
      logical: { locations: [aws, disk], schedule: 0 3 * * *, compression: false }
      verification: { host: test1, schedule: 0 4 * * 0 }
      restoreTest: { host: db2, schedule: 0 4 1 * * }
  managed:
    name: stock
    postgres: { primary: app1, url: env:STOCK_URL }
    backups:
      logical: { locations: [server], keep: { last: 3, for: 90d } }
  wal:
    name: wal
    postgres: { primary: db2, dataDirectory: /srv/pg/wal, port: 5433, password: env:WAL_PASSWORD }
    backups:
      physical: { engine: wal-g, locations: [google, minio, disk] }
files:
  main: { host: app1, paths: [/srv/uploads], exclude: ["*.tmp"], locations: [minio, server], schedule: 0 1 * * *, keep: { for: 90d } }
redis:
  main: { host: app1, password: env:REDIS_PASSWORD, locations: [disk], schedule: 0 1 * * * }
code:
  main: { host: app1, repositories: { site: "https://git.example.com/site.git" }, locations: [disk, aws] }
notifications:
  slack: { token: env:SLACK_TOKEN, channel: "#ops" }
  email: { host: smtp.example.com, user: shop, password: env:SMTP_PASSWORD, from: a@example.com, to: [b@example.com] }
  pagerduty: { routingKey: env:PAGERDUTY_KEY }
drills:
  - { scenario: database-corruption, database: main, schedule: 0 3 1 * * }
`;

export const goodPlan = (): Plan => parsePlan(good, 'lifeboat.yaml');

/** The good plan with one piece of its text replaced. Fails when that piece is not in it. */
export const change = (...pairs: [from: string, to: string][]): string => changed(good, ...pairs);

/** A text with pieces of it replaced. Fails when one is not in it. */
export function changed(whole: string, ...pairs: [from: string, to: string][]): string {
  return pairs.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the plan has no ${from}`);
    return text.replace(from, to);
  }, whole);
}

/** The problems of a text; none when it is a good plan. */
export function problemsOf(text: string): PlanProblem[] {
  try {
    parsePlan(text, 'lifeboat.yaml');
    return [];
  } catch (error) {
    if (error instanceof PlanError) return error.problems;
    throw error;
  }
}

/** `12:5 databases.main.postgres.prot`: where a problem is. */
export const where = (problem: PlanProblem): string => `${problem.line}:${problem.column} ${problem.path}`;
