import { expect, it } from 'vitest';
import { formatProblems, PlanError } from '../../plan/load.js';
import { problemsOf, where } from './plans.js';

const mistakes = `# Everything that can be wrong, at once
system: 9shop
timezone: Mars/Base
objectives:
  rto: 15 minutes
  rpi: 5m
hosts:
  db1: { region: here }
  db2: { regoin: here }
  1app: { region: 5 }
locations:
  disk: { directory: backups, encryption: hunter2 }
databases:
  main:
    postgres:
      primary: db3
      standbys: [db2, db2]
      dataDirectory: { db1: /srv/main, db2: srv/main }
      prot: 5432
      port: "5432"
      password: correct horse battery
    name: ""
    backups:
      physical:
        engine: walg
        locations: [dsk]
        full: 0 25 * * *
        keep: { full: 0 }
    verify:
      rows: { users: { maxDrop: 1 } }
services:
  web:
    database: mian
    hosts: []
    control: { start: [a], stop: [b] }
    health: { url: ftp://x, within: 2 }
people:
  roles: { incidentCommander: ahsa }
  contacts: { asha: { phone: "1" } }
drills:
  - { scenario: database-corupt, schedule: daily }
`;

it('reports every mistake of a plan at once, each at its line and column', () => {
  expect(problemsOf(mistakes).map((problem) => `${where(problem)} | ${problem.message}`)).toEqual([
    '2:9 system | "9shop" is not right',
    '3:11 timezone | "Mars/Base" is not right',
    '4:1 objectives.rpo | "rpo" is missing',
    '5:8 objectives.rto | "15 minutes" is not right',
    '6:3 objectives.rpi | unknown key "rpi"',
    '9:3 hosts.db2.region | "region" is missing',
    '9:10 hosts.db2.regoin | unknown key "regoin"',
    '10:3 hosts.1app | "1app" is not a name',
    '10:19 hosts.1app.region | 5 is not right',
    '12:22 locations.disk.directory | "backups" is not right',
    '12:43 locations.disk.encryption | (hidden) is not right',
    '16:16 databases.main.postgres.primary | unknown host "db3"',
    '17:23 databases.main.postgres.standbys[1] | "db2" stands twice among the standbys',
    '18:45 databases.main.postgres.dataDirectory.db2 | "srv/main" is not right',
    '19:7 databases.main.postgres.prot | unknown key "prot"',
    '20:13 databases.main.postgres.port | "5432" is not right',
    '21:17 databases.main.postgres.password | (hidden) is not right',
    '22:11 databases.main.name | "" is not right',
    '25:17 databases.main.backups.physical.engine | "walg" is not right',
    '26:21 databases.main.backups.physical.locations[0] | unknown location "dsk"',
    '27:15 databases.main.backups.physical.full | "0 25 * * *" is not right',
    '28:23 databases.main.backups.physical.keep.full | 0 is not right',
    '30:33 databases.main.verify.rows.users.maxDrop | 1 is not right',
    '33:15 services.web.database | unknown database "mian"',
    '34:12 services.web.hosts | an empty list is not right',
    '35:5 services.web.control.status | "status" is missing',
    '36:20 services.web.health.url | "ftp://x" is not right',
    '36:37 services.web.health.within | 2 is not right',
    '38:31 people.roles.incidentCommander | unknown person "ahsa"',
    '41:17 drills[0].scenario | "database-corupt" is not right',
    '41:44 drills[0].schedule | "daily" is not right',
  ]);
});

it('says of every mistake what would be right', () => {
  for (const problem of problemsOf(mistakes)) expect(problem.expected ?? problem.hint, where(problem)).toBeTruthy();
});

it('never shows a secret that was put in clear', () => {
  const problems = problemsOf(mistakes);
  expect(JSON.stringify(problems)).not.toMatch(/hunter2|horse/);
  expect(new PlanError('lifeboat.yaml', problems).message).not.toMatch(/hunter2|horse/);
  expect(formatProblems(new PlanError('lifeboat.yaml', problems))).toContain(
    'locations.disk.encryption: (hidden) is not right',
  );
});
