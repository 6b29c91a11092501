import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { stringify } from 'yaml';
import type { PlanFacts } from '../../vocabulary/plan-facts.js';
import { Lifeboat } from '../../client/lifeboat.js';
import { capture, type CliResult } from '../../lab/capture.js';
import { labVariable } from '../../lab/processes.js';
import { type Child, startChild } from '../../lab/child.js';
import { cliEntry } from '../../lab/root.js';
import { until } from '../../lab/wait.js';
import { type LabProcess, startWorker } from '../../lab/worker.js';
import { loadPlan } from '../../plan/load.js';
import { controlQueue, hostQueue, protocol } from '../../vocabulary/names.js';
import type { PlanFile } from '../../plan/schema.js';
import { alertingSecrets } from './alerting.js';
import { workflowBundle } from '../../worker/run-worker.js';
import type { IncidentState } from '../../vocabulary/incident.js';

/**
 * Incidents against a real Temporal with the workflows as they are built, in which what happens on hosts is written by
 * the test: for what people and workflows say to each other, at moments that no real database can be made to wait for.
 */
export interface Scripted {
  system: string;
  lifeboat: Lifeboat;
  /** What an activity gives, or throws; called with its input. Others give what a recovery that goes well gives. */
  script: Record<string, (input: never) => unknown>;
  /** What they give without a script. */
  defaults: Record<string, (input: never) => unknown>;
  /** Names of activities, in the order in which they began. */
  began: string[];
  startControl(): Promise<void>;
  stopControl(): Promise<void>;
  /** SIGKILL to a control worker in a process of its own. */
  killControl(): Promise<void>;
  startAgent(): Promise<void>;
  stopAgent(): Promise<void>;
  untilState(what: string, good: (state: IncidentState) => boolean): Promise<IncidentState>;
  cli(args: string[]): Promise<CliResult>;
  /** The same, for who looks at what it prints while it runs. */
  startCli(args: string[]): Promise<Child>;
  /** The command in a terminal, with this answer when it asks for a yes. */
  terminal(args: string[], answer: string): Promise<{ code: number; said: string }>;
  stop(): Promise<void>;
}

/** A damaged database that a restore brings back, in a moment. */
export const going: Record<string, (input: never) => unknown> = {
  checkRequest: () => ({ summary: 'it can be done', warnings: [], planDigest: 'as-declared', protocol }),
  stopService: () => ({ summary: 'web is stopped' }),
  startService: () => ({ summary: 'web is started' }),
  stopWrites: () => ({ summary: 'closed', proofs: [], warnings: [] }),
  saveEvidence: () => ({ summary: 'saved', files: [] }),
  assess: () => ({
    summary: 'damaged',
    classification: 'not repairable',
    findings: [],
    damagedIndexes: [],
    notChecked: [],
    files: [],
  }),
  listCandidates: () => ({
    summary: 'one',
    candidates: [{ label: 'full', location: 'onsite', takenAt: '2026-11-21T00:00:00Z', databaseBytes: 1, timeline: 1 }],
    passedOver: [],
  }),
  restoreBeside: () => ({ summary: 'restored' }),
  verifyRestored: () => ({
    summary: 'sound',
    rows: [],
    rpoSeconds: 2,
    doubts: [],
    differences: [],
    warnings: [],
    checks: [],
    files: [],
  }),
  behindFence: () => ({ summary: 'nothing', commits: 0, marked: true }),
  lookAtNeighbours: () => ({ summary: 'no other database', lines: [], notAlone: null }),
  putInPlace: () => ({
    summary: 'in place',
    host: 'db1',
    quarantine: '/data.quarantine',
    bytes: 1000,
    canGoBack: true,
    warnings: [],
  }),
  putBack: () => ({ summary: 'the old one is back', host: 'db1', quarantine: '/data.replaced', bytes: 2000 }),
  putOneBack: () => ({
    summary: 'shop alone is as in the copy',
    host: 'db1',
    aside: 'shop_old',
    bytes: 1000,
    copy: '/data.restored',
  }),
  putOneAway: () => ({
    summary: 'shop is the old database again',
    host: 'db1',
    aside: 'shop_new',
    bytes: 2000,
    copy: '/data.restored',
  }),
  settleOne: () => ({ summary: 'the database shop is the one out of the copy' }),
  settlePlace: () => ({
    summary: 'the damaged database is where it was',
    host: 'db1',
    inPlace: 'as it was',
    quarantine: null,
    bytes: 0,
  }),
  openDatabase: () => ({ summary: 'open', warnings: [] }),
  checkHealth: () => ({ summary: 'healthy' }),
  copyFigures: () => ({
    ...{
      summary: 'timeline 2',
      at: new Date().toISOString(),
      timeline: 2,
      transaction: '1000',
      beats: 10,
      lastCommit: null,
      rows: {},
    },
  }),
  watchDatabase: () => ({ summary: 'takes writes' }),
  watchServices: () => ({ summary: 'healthy for 1 s' }),
  protect: () => ({ summary: 'archiving' }),
  takeBackup: () => ({ summary: 'a full backup', failed: [] }),
  release: () => ({ summary: 'the database is open', closed: false }),
  lookForTrouble: () => ({ found: [] }),
  observeDatabase: () => ({ server: 'up', role: 'primary', timeline: 1 }),
  lookAtWal: () => ({ summary: 'none', has: [] }),
  handOverWal: () => ({ summary: 'none', handed: [] }),
  rollBackPrepared: () => ({ summary: 'none' }),
  repair: () => ({ summary: 'rebuilt' }),
  attestStopped: () => ({ summary: 'closed to who comes' }),
  rebuildStandby: () => ({ summary: 'streaming', host: 'db1', quarantine: null, bytes: 0 }),
  stopCopy: () => ({ summary: 'the copy is stopped' }),
  discardCopy: () => ({ summary: 'the copy is gone' }),
  writeReport: () => ({ summary: 'report.html', path: 'report.html' }),
};
export const onControl = ['readPlan', 'checkHealth', 'watchServices', 'writeReport'];

/** What a plan of one database says, where a test does not say otherwise. */
export const factsOf = (more: Partial<PlanFacts>): PlanFacts => ({
  ...{
    database: 'main',
    databaseName: 'shop',
    primary: 'db1',
    standbys: [],
    services: [],
    hosts: ['db1'],
    approvals: 1,
  },
  ...{ objectives: { rtoSeconds: 3600, rpoSeconds: 300 }, planDigest: 'as-declared', summary: 'the plan' },
  ...more,
});

export interface Ground {
  directory: string;
  /** The address of Temporal. */
  temporal: string;
  /** Where the plan's service says that it is well; absent: the plan has none. */
  service?: string;
  /** The control worker is the one that users start, and what it does is real. */
  realControl?: boolean;
  notifications?: PlanFile['notifications'];
}

export async function scripted({
  directory,
  temporal,
  service,
  realControl = false,
  notifications,
}: Ground): Promise<Scripted> {
  const system = `people-${randomBytes(4).toString('hex')}`;
  const home = join(directory, system);
  for (const name of ['logs', 'state']) mkdirSync(join(home, name), { recursive: true });
  const planPath = join(home, 'lifeboat.yaml');
  const plan: PlanFile = {
    system,
    objectives: { rto: '1h', rpo: '5m' },
    hosts: { db1: { region: 'home' } },
    locations: { onsite: { directory: join(directory, 'onsite') } },
    databases: {
      main: {
        name: 'shop',
        postgres: { primary: 'db1', dataDirectory: join(directory, 'none'), socketDirectory: directory },
        backups: { physical: { locations: ['onsite'] } },
      },
    },
    ...(notifications ? { notifications } : {}),
    ...(service
      ? {
          services: {
            web: {
              database: 'main',
              hosts: ['db1'],
              control: { systemd: 'web' },
              health: { url: service },
              watch: '1s',
            },
          },
        }
      : {}),
  };
  writeFileSync(planPath, stringify(plan));
  const loaded = await loadPlan(planPath);
  const env = {
    ...alertingSecrets,
    PATH: process.env['PATH']!,
    HOME: process.env['HOME'] ?? '/',
    LIFEBOAT_STATE_DIR: join(home, 'state'),
    LIFEBOAT_PLAN: planPath,
    TEMPORAL_ADDRESS: temporal,
    TEMPORAL_NAMESPACE: 'default',
    [labVariable]: directory,
  };
  process.env['TEMPORAL_ADDRESS'] = temporal;
  const lifeboat = await Lifeboat.connect(loaded);
  const facts = factsOf({ planDigest: loaded.digest });
  const script: Scripted['script'] = {};
  const began: string[] = [];
  const activity = (name: string) => async (input: never) => {
    began.push(name);
    const of = script[name] ?? going[name] ?? (name === 'readPlan' ? () => facts : undefined);
    if (!of) throw ApplicationFailure.nonRetryable(`the test does not say what ${name} does`);
    return await of(input);
  };
  const activities = (names: string[]) => Object.fromEntries(names.map((name) => [name, activity(name)]));
  const process_ = (taskQueue: string, more: object) => {
    let running: { worker: Worker; over: Promise<void> } | undefined;
    return {
      async start() {
        const connection = await NativeConnection.connect({ address: temporal });
        const worker = await Worker.create({
          connection,
          namespace: 'default',
          taskQueue,
          stickyQueueScheduleToStartTimeout: '2 seconds',
          shutdownGraceTime: 0,
          maxHeartbeatThrottleInterval: '1 second',
          ...more,
        });
        running = { worker, over: worker.run().finally(() => connection.close()) };
      },
      async stop() {
        running?.worker.shutdown();
        await running?.over;
        running = undefined;
      },
    };
  };
  const own = process_(controlQueue(system), { workflowBundle: workflowBundle(), activities: activities(onControl) });
  let worker: LabProcess | undefined;
  const real = {
    async start() {
      const args = ['worker', '--plan', planPath];
      worker = await startWorker({
        name: 'control',
        args,
        queues: [[controlQueue(system), 'workflow']],
        directory: home,
        temporalAddress: temporal,
        env,
      });
    },
    stop: async () => worker?.stop(),
  };
  const control = realControl ? real : own;
  const named = Object.keys(going).filter((name) => !onControl.includes(name));
  const agent = process_(hostQueue(system, 'db1'), { activities: activities(named) });
  await Promise.all([control.start(), agent.start()]);
  return {
    system,
    lifeboat,
    script,
    defaults: going,
    began,
    startControl: control.start,
    stopControl: control.stop,
    killControl: async () => worker?.kill9(),
    startAgent: agent.start,
    stopAgent: agent.stop,
    untilState: (what, good) =>
      until(
        what,
        async () => {
          const state = await lifeboat.incident().state();
          return good(state) ? state : undefined;
        },
        90,
        50,
      ),
    cli: (args) => capture(process.execPath, [cliEntry, ...args], home, env),
    startCli: (args) =>
      startChild({
        program: process.execPath,
        args: [cliEntry, ...args],
        cwd: home,
        env,
        log: join(home, 'logs', `cli-${args[0]}`),
      }),
    terminal: (args, answer) =>
      new Promise((resolve, reject) => {
        const command = [process.execPath, cliEntry, ...args].map((word) => `'${word}'`).join(' ');
        const child = spawn('script', ['-qec', command, '/dev/null'], {
          cwd: home,
          env: { ...env, TERM: 'xterm' },
          stdio: 'pipe',
        });
        let said = '';
        child.stdout.on('data', (data: Buffer) => {
          const asked = said.includes('[y/N]');
          said += data.toString();
          if (!asked && said.includes('[y/N]')) child.stdin.write(`${answer}\r`);
        });
        child.once('error', reject);
        child.once('close', (code) => resolve({ code: code ?? -1, said }));
      }),
    async stop() {
      await Promise.all([control.stop(), agent.stop()]);
      await lifeboat.close();
    },
  };
}
