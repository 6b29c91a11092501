import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { checkChannels, sendNotice } from '../../activities/notifications/channels.js';
import type { ControlContext } from '../../activities/context.js';
import { parsePlan } from '../../plan/load.js';
import type { PlanFile } from '../../plan/schema.js';
import type { Check } from '../../vocabulary/check.js';
import type { Notice, Sent } from '../../vocabulary/alert.js';

/** The channels of a plan as a control worker has them, in this process. */
export interface Channels {
  context: ControlContext;
  send(channel: string, notice?: Partial<Notice>): Promise<Sent>;
  /** How it fails: its type, whether it is tried again, and what it says. */
  failure(channel: string, notice?: Partial<Notice>): Promise<Failed>;
  check(): Promise<Check[]>;
}

export interface Failed {
  type: string;
  nonRetryable: boolean;
  message: string;
  nextRetryDelay?: unknown;
  details: [{ hint: string }];
}

export const secrets = {
  SLACK_TOKEN: 'xoxb-lab-0123456789-secret',
  SMTP_PASSWORD: 'smtp "secret" & more',
  PAGERDUTY_KEY: 'abcdef0123456789abcdef0123456789',
  DB_PASSWORD: 'the-password-of-the-database',
};

export function channelsOfPlan(notifications: PlanFile['notifications']): Channels {
  Object.assign(process.env, secrets);
  const file: PlanFile = {
    system: 'shop',
    objectives: { rto: '1h', rpo: '5m' },
    hosts: { db1: { region: 'home' } },
    locations: { onsite: { directory: '/backups' } },
    databases: {
      main: {
        name: 'shop',
        postgres: { primary: 'db1', dataDirectory: '/srv/data', password: 'env:DB_PASSWORD' },
        backups: { physical: { locations: ['onsite'] } },
      },
    },
    notifications,
  };
  const plan = parsePlan(stringify(file), 'lifeboat.yaml');
  const context: ControlContext = { plan, planDirectory: '/', planDigest: 'test', state: '/' };
  const send = (channel: string, notice: Partial<Notice> = {}) =>
    sendNotice(context)({
      form: 'execute',
      channel,
      notice: {
        ...{
          key: 'backup/logical/main',
          severity: 'critical',
          state: 'raised',
          system: 'shop',
          at: '2026-11-21T03:15:00.000Z',
        },
        ...{ title: 'the logical backup of main failed', text: 'pg_dump ended with code 1. Type: lifeboat doctor' },
        ...notice,
      },
    });
  return {
    context,
    send,
    failure: (channel, notice) =>
      send(channel, notice).then(
        () => {
          throw new Error(`${channel} took the notice, and was to refuse it`);
        },
        (error: unknown) => error as Failed,
      ),
    check: async () => (await checkChannels(context)()).checks,
  };
}

/** A directory that goes away with `gone`. */
export function folder(): { path: string; gone: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'lifeboat-notices-'));
  return { path, gone: () => rmSync(path, { recursive: true, force: true }) };
}
