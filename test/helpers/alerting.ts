import { writeFileSync, mkdirSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { stringify } from 'yaml';
import { capture, type CliResult } from '../../lab/capture.js';
import { labVariable } from '../../lab/processes.js';
import { cliEntry } from '../../lab/root.js';
import type { HttpSink } from '../../lab/servers/http-sink.js';
import { until } from '../../lab/wait.js';
import { type LabProcess, startWorker } from '../../lab/worker.js';
import { alertsWorkflowId, controlQueue, hostQueue } from '../../vocabulary/names.js';
import type { PlanFile } from '../../plan/schema.js';
import type { Pace } from '../../workflows/alert-book.js';
import type { Alert, AlertsNow } from '../../vocabulary/alert.js';

/**
 * A system with nothing but channels: its control worker, its alerts, and the sinks that stand in for Slack and
 * PagerDuty.
 */
export interface Alerting {
  system: string;
  /** Where its location `mount` is to be, and is not yet. */
  mount: string;
  handle: WorkflowHandle;
  control: LabProcess;
  agent: LabProcess;
  now(): Promise<AlertsNow>;
  raise(key: string, more?: Partial<Alert>): Promise<void>;
  resolve(key: string, text?: string): Promise<void>;
  cli(args: string[]): Promise<CliResult>;
}

export interface AlertingOptions {
  /** Of the lab: everything in it ends with it. */
  directory: string;
  temporal: string;
  slack?: HttpSink;
  pagerduty?: HttpSink;
  /** Absent: the control worker starts the alerts by itself, at their usual pace. */
  pace?: Partial<Pace>;
}

export const alertingSecrets = {
  SLACK_TOKEN: 'xoxb-lab-0123456789-secret',
  PAGERDUTY_KEY: 'abcdef0123456789abcdef0123456789',
};

export async function startAlerting({
  directory,
  temporal,
  slack,
  pagerduty,
  pace,
}: AlertingOptions): Promise<Alerting> {
  const system = `alerts-${randomBytes(4).toString('hex')}`;
  const home = join(directory, system);
  const plan: PlanFile = {
    system,
    objectives: { rto: '1h', rpo: '5m' },
    hosts: { db1: { region: 'home' } },
    locations: { onsite: { directory: join(directory, 'onsite') }, mount: { directory: join(home, 'mount') } },
    code: { app: { host: 'db1', repositories: { app: '/srv/app' }, locations: ['mount'] } },
    // It is nowhere: what its agent cannot look at is told as such, and passed over below.
    databases: {
      main: {
        name: 'shop',
        postgres: { primary: 'db1', dataDirectory: join(directory, 'none'), socketDirectory: directory },
        backups: { physical: { locations: ['onsite'] } },
      },
    },
    notifications: {
      ...(slack ? { slack: { token: 'env:SLACK_TOKEN', channel: '#oncall', url: `${slack.url}/api/` } } : {}),
      ...(pagerduty ? { pagerduty: { routingKey: 'env:PAGERDUTY_KEY', url: pagerduty.url } } : {}),
    },
  };
  for (const name of ['logs', 'state']) mkdirSync(join(home, name), { recursive: true });
  const planPath = join(home, 'lifeboat.yaml');
  writeFileSync(planPath, stringify(plan));
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
  const client = new Client({ connection: await Connection.connect({ address: temporal }) });
  const handle = client.workflow.getHandle(alertsWorkflowId(system));
  if (pace)
    await client.workflow.start('alerts', {
      workflowId: handle.workflowId,
      taskQueue: controlQueue(system),
      args: [{ system, pace }],
    });
  const process_ = (name: string, args: string[], queue: string, kind: 'workflow' | 'activity') =>
    startWorker({ name, args, queues: [[queue, kind]], directory: home, temporalAddress: temporal, env });
  const [control, agent] = await Promise.all([
    process_('control', ['worker', '--plan', planPath], controlQueue(system), 'workflow'),
    process_('agent', ['agent', '--host', 'db1', '--plan', planPath], hostQueue(system, 'db1'), 'activity'),
  ]);
  return {
    system,
    mount: join(home, 'mount'),
    handle,
    control,
    agent,
    now: () => handle.query<AlertsNow>('alerts'),
    raise: (key, more = {}) =>
      handle.signal('raise', {
        key,
        severity: 'critical',
        title: `${key} is wrong`,
        text: 'Type: lifeboat doctor',
        ...more,
      }),
    resolve: (key, text) => handle.signal('resolve', { key, ...(text === undefined ? {} : { text }) }),
    cli: (args) => capture(process.execPath, [cliEntry, ...args], home, env),
  };
}

/**
 * What Slack was told of an alert, in its order: `CRITICAL: a is wrong`, `resolved: ...`. Refused attempts do not
 * count.
 */
export const told = (sink: HttpSink): string[] =>
  sink.requests.flatMap(({ path, body, status }) => {
    const [, says = '?'] = /\] (.*?)\*/.exec(String(body['text'])) ?? [];
    return status !== 200 || !path.endsWith('chat.postMessage') || notOurs.test(says) ? [] : [says];
  });

/** What the agent says of the database that is nowhere, and reminds of. */
const notOurs =
  /^(warning|warning, still|resolved): (physical backups|code backups|database|location) .*cannot be looked at$/;

/** The alerts that are open, once they are those. */
export const untilOpen = (alerting: Alerting, keys: string[]): Promise<AlertsNow> =>
  until(`open alerts: ${keys.join(', ') || 'none'}`, async () => {
    const now = await alerting.now();
    return JSON.stringify(now.open.flatMap(({ key }) => (key.startsWith('unseen/') ? [] : [key])).sort()) ===
      JSON.stringify([...keys].sort())
      ? now
      : undefined;
  });
