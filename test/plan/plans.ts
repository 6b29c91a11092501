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

export const goodPlan = (): Plan => parsePlan(good, 'lifeboat.yaml');

/** The good plan with one piece of its text replaced. Fails when that piece is not in it. */
export function change(...pairs: [from: string, to: string][]): string {
  return pairs.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the good plan has no ${from}`);
    return text.replace(from, to);
  }, good);
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
