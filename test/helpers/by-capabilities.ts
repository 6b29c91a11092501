import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { ensureArchiving } from '../../activities/backups/protect.js';
import type { HostContext } from '../../activities/context.js';
import { hostFacts } from '../../activities/doctor/host-facts.js';
import { checkRequest } from '../../activities/recovery/check-request.js';
import { saveEvidence } from '../../activities/postgres/evidence.js';
import { openDatabase, release } from '../../activities/postgres/open.js';
import { stopWrites } from '../../activities/postgres/stop-writes.js';
import { verifyRestored } from '../../activities/recovery/verify-restored.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { type Host, hostOf, withPlan } from './host.js';

/**
 * For a file of tests: one small database with a backup, and the steps of an incident on it by the capabilities
 * themselves, without Temporal. What it gives is there from the first hook on.
 */
export function byCapabilities() {
  let lab: Lab;
  let host: Host;
  beforeAll(async () => {
    lab = await createLab({ temporal: 'none', service: false, fast: true, rows: 100, locations: 1 });
    host = await hostOf(lab);
    await host.backup();
    await host.beat();
  });
  afterAll(() => lab.stop());

  const of = (incident: string) => ({ database: 'main', incident });
  const check = (incident: string, context = host.context) => checkRequest(context).execute(of(incident));
  return {
    get lab() {
      return lab;
    },
    get host() {
      return host;
    },
    get data() {
      return lab.primary.dataDirectory;
    },
    of,
    check,
    /** The host, with a plan that has its data elsewhere. */
    at: (directory: string): HostContext =>
      withPlan(host, (plan) => {
        plan.databases['main']!.postgres.dataDirectory = { db1: directory };
      }),
    doctor: async (what: string) =>
      (await hostFacts(host.context).execute({})).checks.find((one) => one.what === `main primary: ${what}`),
    async close(incident: string) {
      await check(incident);
      await stopWrites(host.context).execute(of(incident));
      await saveEvidence(host.context).execute(of(incident));
    },
    async restoreAndVerify(incident: string) {
      await host.restore(incident);
      return verifyRestored(host.context).execute({
        ...of(incident),
        target: 'latest',
        declaredAt: new Date().toISOString(),
      });
    },
    async open(incident: string) {
      await openDatabase(host.context).execute(of(incident));
      await release(host.context).execute(of(incident));
      await ensureArchiving(host.cluster);
      for (const name of readdirSync(lab.primary.directory).filter((one) =>
        /^data\.(quarantine|replaced|restored)-/.test(one),
      ))
        rmSync(join(lab.primary.directory, name), { recursive: true });
    },
    rows: async () => (await lab.primary.sql<{ n: number }>('SELECT count(*)::int AS n FROM orders'))[0]!.n,
  };
}
