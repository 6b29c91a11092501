import { drillCommand, recoverCommand } from '../../vocabulary/scenario.js';
import { dirname } from 'node:path';
import { readdir } from 'node:fs/promises';
import { componentsOf } from '../alerts/components.js';
import { providerOf } from '../backups/providers.js';
import { otherHosts } from '../../plan/access.js';
import { secretsOn } from '../../plan/secrets.js';
import { formatBytes, formatDuration } from '../../vocabulary/units.js';
import { archiveCommand, engineOf, locationsOf, repositoryInfo } from '../backups/engines.js';
import { leadsCheck } from '../backups/leads-to-now.js';
import { looking } from '../capability.js';
import { readable, recordsOf } from '../backups/physical-records.js';
import { backupCheck } from './backup-check.js';
import { serverChecks } from './server-checks.js';
import { type HostContext, secretOf } from '../context.js';
import { freeBytes, treeBytes } from '../files.js';
import { claimedBy } from '../postgres/claim.js';
import { type Cluster, clusterOf, controlData, whatIsGone } from '../postgres/cluster.js';
import { configurationProblem, missingConfiguration } from '../postgres/configuration.js';
import { one, withClient } from '../postgres/connect.js';
import { missingSince } from '../recovery/end-of-recovery.js';
import { databasesHere, ours, outOfDate } from '../postgres/here.js';
import { placeOf } from '../recovery/check-request.js';
import { isClosed } from '../postgres/fence.js';
import { readProof } from '../postgres/proof.js';
import { standbyStates } from '../postgres/replication.js';
import { run } from '../run.js';
import type { Check } from '../../vocabulary/check.js';
import { postmasterPid } from '../postgres/server.js';

export interface HostFacts {
  planDigest: string;
  /** The host's clock when it answered, ISO 8601. */
  now: string;
  checks: Check[];
  /** Bytes of each database that has its primary here. */
  bytes: Record<string, number>;
}

/**
 * Everything that the plan promises of this host, looked at now. A check that cannot be made is a failed one, and never
 * stops the others.
 */
export const hostFacts = (context: HostContext) =>
  looking<{ incident?: string }, HostFacts>(async () => {
    const checks: Check[] = [];
    const bytes: Record<string, number> = {};
    const check = async (
      what: string,
      hint: string,
      look: () => Promise<string | Pick<Check, 'result' | 'says' | 'hint'>>,
    ) => {
      try {
        const found = await look();
        checks.push({
          what,
          host: context.host,
          ...(typeof found === 'string' ? { result: 'pass' as const, says: found } : found),
        });
      } catch (error) {
        const own = (error as { details?: { hint?: string }[] }).details?.[0]?.hint;
        checks.push({ what, host: context.host, result: 'fail', says: (error as Error).message, hint: own ?? hint });
      }
    };
    const mine = await databasesHere(context);
    for (const { kind, name: component, locations } of componentsOf(context, ours(context, mine))) {
      await check(`${kind} backups of ${component}`, 'lifeboat backup list', async () =>
        backupCheck(await providerOf(kind).list(context, component), locations),
      );
    }
    const engines = new Map(
      mine.map(({ database }) => [context.plan.databases[database]!.backups.physical?.engine, database]),
    );
    for (const [engine, database] of engines) {
      if (engine === undefined) continue;
      const cluster = clusterOf(context, database);
      await check(engine, `Install ${engine} on this host.`, async () =>
        Object.values(await engineOf(cluster).tools(cluster)).join(', '),
      );
    }
    await check('secrets', 'Give the agent what is missing and start it again.', () => readableSecrets(context));
    for (const here of mine) {
      const { cluster, database, role } = here;
      const name = (what: string) => `${database} ${role}: ${what}`;
      await check(name('data directory'), 'Correct dataDirectory in the plan.', () => directoryCheck(cluster));
      await check(name('configuration'), 'Fix it before the server is restarted.', () => configurationCheck(cluster));
      const old = outOfDate(here);
      if (old) checks.push({ what: name('plan'), host: context.host, result: 'warn', ...old });
      await check(name('server'), `Start it; or: ${recoverCommand}`, () => serverCheck(cluster));
      if (role !== 'primary') continue;
      await check(name('nothing was set back'), `${recoverCommand} --to latest`, () => setBackCheck(cluster));
      for (const { what, hint, look } of serverChecks(cluster)) await check(name(what), hint, look);
      await check(name('open'), 'An incident closed it: lifeboat incidents', () => openCheck(cluster));
      if (cluster.plan.backups.physical) {
        await check(name('archiving'), 'Read the log of the server and of the agent.', () => archivingCheck(cluster));
        await check(name('backup age'), 'lifeboat backup create', () => backupAge(cluster));
        await check(name('backups lead to now'), 'lifeboat backup create --full', () => leadsCheck(cluster));
        await check(name('restore'), drillCommand, () => restoreCheck(cluster));
      }
      await check(name('free space'), 'Free space beside the data directory.', async () => {
        const size = await treeBytes(cluster.dataDirectory);
        bytes[database] = size;
        const free = await freeBytes(dirname(cluster.dataDirectory));
        const says = `a restore beside needs ${formatBytes(size * 1.1)}, ${formatBytes(free)} are free`;
        return free > size * 1.1
          ? says
          : { result: 'fail', says, hint: `Free ${formatBytes(size * 1.1 - free)} beside ${cluster.dataDirectory}.` };
      });
      await check(name('replicas'), 'Look at pg_stat_replication; rebuild the standby.', () => replicaCheck(cluster));
      await check(name('checksums'), '', async () =>
        (await controlData(cluster, cluster.dataDirectory)).checksums
          ? 'on'
          : { result: 'warn', says: 'data checksums are off', hint: 'With the server stopped: pg_checksums --enable' },
      );
      await check(name('left behind'), '', () => leftovers(cluster));
    }
    for (const [service, of] of Object.entries(context.plan.services)) {
      if (of.hosts.includes(context.host) && 'systemd' in of.control) {
        const unit = of.control.systemd;
        await check(
          `${service}: systemd unit`,
          'Correct the unit in the plan.',
          async () => (await run('systemctl', ['cat', unit]), unit),
        );
      }
    }
    return { planDigest: context.planDigest, now: new Date().toISOString(), checks, bytes };
  });

async function readableSecrets(context: HostContext): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const mine = secretsOn(context.plan, context.host);
  const missing: string[] = [];
  const short: string[] = [];
  if (mine.length === 0) return 'none are needed here';
  for (const { reference } of mine) {
    const value = await secretOf(context, reference).catch(() => void missing.push(reference));
    if (value !== undefined && value.length < 4) short.push(reference);
  }
  if (missing.length === 0 && short.length > 0)
    return {
      result: 'warn',
      says: `shorter than 4 characters: ${short.join(', ')}`,
      hint: 'Too short to be kept out of messages: choose longer ones.',
    };
  return missing.length === 0
    ? `${mine.length} can be read`
    : {
        result: 'fail',
        says: `cannot be read: ${missing.join(', ')}`,
        hint: 'Give the agent what they refer to, and start it again.',
      };
}

async function directoryCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const { directory } = await placeOf(cluster);
  const gone = await whatIsGone(cluster);
  if (gone) return { result: 'fail', says: gone, hint: `Restore it: ${recoverCommand}` };
  return cluster.named === undefined ? directory : `${directory}, by the link ${cluster.named}`;
}

/** A server that runs says nothing of whether it would start again: its files may have changed since. */
async function configurationCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  if (await whatIsGone(cluster))
    return { result: 'warn', says: 'not checked: there is no data directory', hint: 'Look at that first.' };
  const gone = await missingConfiguration(cluster);
  if (gone)
    return { result: 'fail', says: gone, hint: `An incident does that (${recoverCommand}); or put them back by hand.` };
  const problem = await configurationProblem(cluster);
  if (problem) throw new Error(`PostgreSQL would not start with it: ${problem}`);
  return 'it is read, and what it names can be read by the owner of the data';
}

/**
 * A plan that no restore works with looks as good as any other until one is tried: here, or by a test of a backup on
 * any host.
 */
async function restoreCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const hint = drillCommand;
  const proof = await readProof(cluster);
  if (proof?.failed !== undefined)
    return {
      result: 'fail',
      says: `the last one failed, at ${proof.at}: ${proof.failed}`,
      hint: `Fix that, then: ${hint}`,
    };
  const records = await recordsOf(cluster, locationsOf(cluster));
  const tested = [...records.values()]
    .flatMap((of) => [...of.values()])
    .flatMap((record) => readable(record)?.restored?.at ?? []);
  const last = [...tested, ...(proof ? [proof.at] : [])].sort().at(-1);
  if (last === undefined)
    return { result: 'warn', says: 'no backup was ever restored: nobody knows whether one can be', hint };
  return `one held ${formatDuration((Date.now() - Date.parse(last)) / 1000)} ago`;
}

async function serverCheck(cluster: Cluster): Promise<string> {
  if (!(await postmasterPid(cluster.dataDirectory))) throw new Error('it does not run');
  return withClient(cluster, {}, async (client) => {
    const version = (await one<string>(client, `select current_setting('server_version')`))!;
    const amcheck = await one<boolean>(
      client,
      `select exists(select from pg_available_extensions where name = 'amcheck')`,
    );
    if (!amcheck) throw new Error(`PostgreSQL ${version}, without the amcheck extension`);
    return `PostgreSQL ${version}, superuser ${String(await one<string>(client, `select current_setting('is_superuser')`))}`;
  });
}

async function setBackCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const [first] = await missingSince(cluster);
  if (first === undefined) return 'it has all that its canary, its archive and its standbys know of';
  return { result: 'fail', says: first, hint: `Restore what it had: ${recoverCommand} --to latest` };
}

async function openCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const holder = await claimedBy(cluster);
  if (await isClosed(cluster))
    return {
      result: 'warn',
      says: `closed by incident ${holder ?? '(none is open)'}`,
      hint: 'lifeboat watch; or, when no incident is open: lifeboat abort --resume',
    };
  return holder ? `open; held by incident ${holder}` : 'open';
}

async function archivingCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    if ((await one<string>(client, `select current_setting('archive_mode')`)) === 'off') {
      return {
        result: 'fail' as const,
        says: 'archive_mode is off: no WAL is archived, and nothing since a backup could be recovered',
        hint: 'Set archive_mode = on and wal_level = replica in postgresql.conf, and restart the server when it suits.',
      };
    }
    const command = await one<string>(client, `select current_setting('archive_command')`);
    if (command !== archiveCommand(cluster)) {
      return {
        result: 'fail' as const,
        says: 'archive_command is not the one of Lifeboat',
        hint: "Start the agent of this host: it sets the command. If it is somebody else's: alter system reset archive_command",
      };
    }
    const { rows } = await client.query<{ failing: boolean; age: string | null; last: string | null }>(
      `select coalesce(last_failed_time > last_archived_time, last_failed_time is not null) as failing,
              extract(epoch from now() - last_archived_time)::text as age, last_archived_wal as last from pg_stat_archiver`,
    );
    const row = rows[0]!;
    if (row.failing)
      return {
        result: 'fail' as const,
        says: 'the last WAL segment could not be archived',
        hint: 'Read the log of the server: it says why archive-push failed.',
      };
    if (row.last === null)
      return {
        result: 'warn' as const,
        says: 'no WAL segment was archived yet',
        hint: 'Wait for archive_timeout, or: lifeboat backup create',
      };
    const rpo = cluster.plan.objectives?.rpo ?? cluster.context.plan.objectives.rpo;
    const age = Number(row.age);
    const says = `last segment archived ${formatDuration(age)} ago`;
    return age > rpo
      ? {
          result: 'fail' as const,
          says,
          hint: `That is more than the RPO of ${formatDuration(rpo)}. Is archive_timeout set?`,
        }
      : says;
  });
}

async function backupAge(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const { backups, unreadable } = await repositoryInfo(cluster);
  const lost = Object.entries(unreadable);
  if (lost.length > 0)
    return {
      result: 'fail',
      says: lost.map(([location, why]) => `${location} cannot be read: ${why}`).join('; '),
      hint: 'Is it mounted? Are its credentials there?',
    };
  const newest = backups[0];
  if (!newest) return { result: 'fail', says: 'there is no backup', hint: 'lifeboat backup create --full' };
  // A location that fails in silence is missed only when it is needed (GitLab, 2017).
  const without = locationsOf(cluster).filter((location) => !backups.some((backup) => backup.location === location));
  if (without.length > 0)
    return {
      result: 'fail',
      says: `there is no backup at ${without.join(', ')}`,
      hint: 'lifeboat backup create --full',
    };
  const behind = locationsOf(cluster).flatMap((location) => {
    const { label, stoppedAt } = backups.find((backup) => backup.location === location)!;
    return newest.stoppedAt - stoppedAt > 2 * 86_400
      ? [`the newest at ${location} is ${label}, ${formatDuration(Date.now() / 1000 - stoppedAt)} old`]
      : [];
  });
  if (behind.length > 0)
    return {
      result: 'fail',
      says: behind.join('; '),
      hint: 'Backups fail there. See why: lifeboat backup create --full',
    };
  const age = Date.now() / 1000 - newest.stoppedAt;
  const says = `${newest.label} is ${formatDuration(age)} old`;
  return age > 2 * 86_400 ? { result: 'warn', says, hint: 'Are the schedules applied? lifeboat schedules list' } : says;
}

async function replicaCheck(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const states = await standbyStates(cluster);
  const missing = otherHosts(cluster.context.plan, cluster.database, cluster.context.host).filter(
    (host) => !states.some(({ name, state }) => name === host && state === 'streaming'),
  );
  if (missing.length > 0)
    return {
      result: 'fail',
      says: `not streaming: ${missing.join(', ')}`,
      hint: 'Is the server there up? Its application_name must be the name of its host.',
    };
  const lag = Math.max(0, ...states.map(({ lagSeconds }) => lagSeconds ?? 0));
  return states.length === 0 ? 'the plan has no standby' : `${states.length} streaming, ${formatDuration(lag)} behind`;
}

async function leftovers(cluster: Cluster): Promise<string | Pick<Check, 'result' | 'says' | 'hint'>> {
  const parent = dirname(cluster.dataDirectory);
  const names = (await readdir(parent)).filter(
    (name) =>
      /\.(quarantine|restored|replaced|new)-[A-Za-z]/.test(name) &&
      !name.endsWith('.json') &&
      !name.endsWith('.tablespaces'),
  );
  return names.length === 0
    ? 'nothing'
    : {
        result: 'warn',
        says: `kept beside the data directory: ${names.join(', ')}`,
        hint: 'When nobody needs them any more, remove them by hand.',
      };
}
