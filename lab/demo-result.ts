import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { verdicts } from '../activities/reports/facts.js';
import { formatBytes } from '../vocabulary/units.js';
import type { IncidentState } from '../vocabulary/incident.js';
import { isStreaming } from './cluster.js';
import type { Lab } from './lab.js';
import { ask } from './monitor.js';
import { checkout } from './root.js';
import type { Telling } from './narrator.js';

/** What came of the demo's recovery, counted again and compared with what was there before. */

export interface Counts {
  customers: number;
  orders: number;
  payments: number;
  /** Of all orders, so that a row whose content changed shows too. */
  turnover: string;
}

export async function countAll({ primary }: Lab): Promise<Counts> {
  const [counts] = await primary.sql<Record<keyof Counts, never>>(
    `SELECT (SELECT count(*)::int FROM customers) AS customers, (SELECT count(*)::int FROM orders) AS orders,
       (SELECT count(*)::int FROM payments) AS payments, (SELECT sum(total)::text FROM orders) AS turnover`,
  );
  return counts!;
}

/** True when everything is as it was. */
export async function compare(
  lab: Lab,
  tell: Telling,
  { before, state, lostCustomers }: { before: Counts; state: IncidentState; lostCustomers: number },
): Promise<boolean> {
  tell.phase('What came of it');
  const after = await countAll(lab);
  const results: boolean[] = [];
  const judge = (good: boolean, text: string): void => {
    results.push(good);
    (good ? tell.fact : tell.bad)(text);
  };
  for (const table of ['orders', 'payments', 'customers'] as const) {
    judge(after[table] === before[table], `${table}: ${before[table]} before the disaster, ${after[table]} now`);
  }
  judge(
    after.turnover === before.turnover,
    `SELECT sum(total) FROM orders: ${after.turnover}, and ${before.turnover} before`,
  );
  const health = await ask(`${lab.serviceUrl}/health`);
  judge(health.ok, `GET /health: ${health.says}`);
  const order = await ask(`${lab.serviceUrl}/orders`, 'POST');
  judge(order.ok, `POST /orders: ${order.says}`);
  if (lab.standby)
    judge(
      await isStreaming(lab.primary, lab.standby.host),
      `the standby on ${lab.standby.host} was rebuilt, and streams`,
    );
  if (lab.primary.debian) {
    const [row] = await lab.primary.sql<{ ssl: string }>(`SELECT current_setting('ssl') AS ssl`);
    judge(row!.ssl === 'on', `it runs with Debian's own configuration: ssl is ${row!.ssl}`);
  }
  const damaged = state.quarantine.find(({ host }) => host === lab.primary.host);
  tell.say(
    `What was lost: the ${lostCustomers} customers who registered after the moment that was restored. They are still in the quarantined copy, for whoever wants to fetch them.`,
  );
  for (const text of state.lost) tell.say(`In the words of the report: ${text}.`);
  for (const { objective, met, says } of verdicts(state, new Date())) judge(met === true, `${objective} ${says}`);
  judge(
    damaged !== undefined && existsSync(damaged.path),
    damaged
      ? `the damaged database is in quarantine, ${formatBytes(damaged.bytes)}, on ${damaged.host}:`
      : 'no quarantined copy was kept',
  );
  if (damaged) tell.copy('', damaged.path);
  return results.every(Boolean);
}

/** Copies the report out of the lab, which is removed. Returns where it is, as seen from here. */
export function keepReport(state: IncidentState): string {
  if (!state.report) return '(no report was written)';
  const folder = join(checkout, 'reports', 'demo');
  mkdirSync(folder, { recursive: true });
  for (const kind of ['html', 'md', 'json']) {
    const file = state.report.replace(/\.html$/, `.${kind}`);
    copyFileSync(file, join(folder, basename(file)));
  }
  return relative(process.cwd(), join(folder, basename(state.report)));
}
