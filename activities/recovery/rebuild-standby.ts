import { appendFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { databaseHosts, hostAddress, onHost } from '../../plan/access.js';
import { quarantineDirectory } from '../../vocabulary/names.js';
import { engineOf } from '../backups/engines.js';
import { type Capability, progress } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { type HostContext, secretOf } from '../context.js';
import { formatBytes } from '../../vocabulary/units.js';
import { failure, isFailure } from '../errors.js';
import { exists, freeBytes, makeDirectory, move, removeTree, treeBytes, writeWhole } from '../files.js';
import { run, type Owner } from '../run.js';
import { bin, type Cluster, clusterOf, controlData, dataOwner } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { observe } from '../postgres/role.js';
import { launch, ledger, logTail, postmasterPid, stopServer, untilReady } from '../postgres/server.js';

export interface StandbyInput {
  database: string;
  incident: string;
  /** The host that it is to follow; the plan's primary, when none is named. */
  primary?: string;
}
export interface StandbyResult {
  summary: string;
  host: string;
  quarantine: string | null;
  bytes: number;
}

/**
 * Rebuilds this host's standby from the primary: the old one, which followed what is now quarantined, is moved aside, a
 * new one is taken with pg_basebackup, and it must stream on the primary's timeline.
 */
export const rebuildStandby = (context: HostContext): Capability<StandbyInput, StandbyResult> => ({
  async rehearse({ database }) {
    const cluster = clusterOf(context, database);
    const room = await demandRoom(cluster);
    await bin(cluster, 'pg_basebackup');
    return {
      summary: `could be rebuilt: pg_basebackup is here; ${room}`,
      host: context.host,
      quarantine: null,
      bytes: 0,
    };
  },

  async execute({ database, incident, primary: host }) {
    const cluster = clusterOf(context, database);
    const conninfo = await replicationConninfo(cluster, host ?? cluster.plan.postgres.primary);
    const primary = await identifyPrimary(cluster, conninfo);
    const quarantine = quarantineDirectory(cluster.dataDirectory, incident);
    const fresh = `${cluster.dataDirectory}.new-${incident}`;
    if (!(await follows(cluster, primary.timeline))) {
      await demandOurs(cluster, primary.systemIdentifier);
      await demandNoPrimary(cluster);
      // In its place already, the new one may only need to be started; one that does not follow then is worth nothing,
      // and taken anew.
      const placed = (await exists(completeMark(fresh))) && !(await exists(fresh));
      if (!placed || !(await startsToFollow(cluster, primary.timeline)))
        await replace(cluster, { fresh, quarantine, conninfo, again: placed });
      if (!(await startsToFollow(cluster, primary.timeline))) {
        throw failure(
          'ServerFailed',
          `the new standby does not stream: ${await logTail(cluster)}`,
          `Read the server's log on ${context.host}, then: lifeboat decide retry`,
        );
      }
    }
    await removeTree(completeMark(fresh));
    const kept = await exists(quarantine);
    return {
      summary: `streaming on timeline ${primary.timeline}`,
      host: context.host,
      quarantine: kept ? quarantine : null,
      bytes: kept ? await treeBytes(quarantine) : 0,
    };
  },
});

/** What stands in the standby's place must be of this cluster, or nothing of it is moved. */
async function demandOurs(cluster: Cluster, systemIdentifier: string): Promise<void> {
  const old = await controlData(cluster, cluster.dataDirectory).catch(() => undefined);
  if (!old || old.systemIdentifier === systemIdentifier) return;
  throw failure(
    'WrongTarget',
    `${cluster.dataDirectory} on ${cluster.context.host} is cluster ${old.systemIdentifier}, the primary is cluster ${systemIdentifier}`,
    'Nothing was moved. Check the hosts and dataDirectory in the plan.',
  );
}

/** What a primary has written may be nowhere else, whoever promoted it, and whenever. Throws WrongTarget. */
async function demandNoPrimary(cluster: Cluster): Promise<void> {
  const { role, server, timeline } = await observe(cluster);
  if (role !== 'primary') return;
  const { database, context } = cluster;
  throw failure(
    'WrongTarget',
    `the server of ${database} on ${context.host} is no standby: it ${server === 'up' ? 'is' : 'was'} a primary, on timeline ${timeline}`,
    `Nothing was moved. What it has may be nowhere else: look at it, keep a copy of ${cluster.dataDirectory} aside, then make it a standby by hand; or: lifeboat decide skip`,
  );
}

async function startsToFollow(cluster: Cluster, timeline: number): Promise<boolean> {
  await launch(cluster);
  return untilReady(
    cluster,
    { directory: cluster.dataDirectory, seconds: 120, what: 'starting the standby' },
    async () => ((await follows(cluster, timeline)) ? true : undefined),
  ).catch((error: unknown) => {
    if (isFailure(error, 'ServerFailed')) return false;
    throw error;
  });
}

/**
 * Takes a new copy, moves the old standby aside (a copy that did not follow is removed), and puts the new one in its
 * place.
 */
async function replace(
  cluster: Cluster,
  { fresh, quarantine, conninfo, again }: { fresh: string; quarantine: string; conninfo: string; again: boolean },
): Promise<void> {
  if (again || !(await exists(completeMark(fresh)))) {
    await removeTree(completeMark(fresh));
    await takeCopy(cluster, { fresh, conninfo }, await dataOwner(cluster));
  }
  await stopServer(cluster);
  if (await exists(cluster.dataDirectory)) {
    if (await exists(quarantine)) await removeTree(cluster.dataDirectory);
    else await move(cluster.dataDirectory, quarantine, 'moving the old standby aside');
  }
  await move(fresh, cluster.dataDirectory, 'moving the new standby into place');
}

/** Room for a new copy beside the old standby, which stays. */
async function demandRoom(cluster: Cluster): Promise<string> {
  const size = (await exists(cluster.dataDirectory)) ? await treeBytes(cluster.dataDirectory) : 0;
  const free = await freeBytes(dirname(cluster.dataDirectory));
  if (free < size * 1.1) {
    throw failure(
      'NotEnoughSpace',
      `a new standby needs ${formatBytes(size * 1.1)} on ${cluster.context.host}, and ${formatBytes(free)} are free`,
      'Free some there, then: lifeboat decide retry',
    );
  }
  return `${formatBytes(size)} needed, ${formatBytes(free)} free`;
}

/**
 * The primary's cluster and timeline, asked over the replication protocol: that also proves that this host may
 * replicate from it.
 */
async function identifyPrimary(
  cluster: Cluster,
  conninfo: string,
): Promise<{ systemIdentifier: string; timeline: number }> {
  const answer = await run(
    await bin(cluster, 'psql'),
    ['-X', '-A', '-t', '-w', '-d', `${conninfo} dbname=replication replication=true`, '-c', 'IDENTIFY_SYSTEM'],
    { owner: await dataOwner(cluster) },
  );
  const [systemIdentifier = '', timeline] = answer.stdout.trim().split('|');
  return { systemIdentifier, timeline: Number(timeline) };
}

/**
 * A base backup is whole when pg_basebackup has ended and said so; only then is its mark written, beside it: what is in
 * it is the primary's.
 */
const completeMark = (fresh: string) => `${fresh}.complete`;

/** True when the standby runs, is in recovery, and its WAL receiver streams on this timeline. */
async function follows(cluster: Cluster, timeline: number): Promise<boolean> {
  if (!(await postmasterPid(cluster.dataDirectory))) return false;
  return withClient(cluster, { database: 'postgres' }, async (client) => {
    if (!(await one<boolean>(client, 'select pg_is_in_recovery()'))) return false;
    const received = await one<number>(
      client,
      `select received_tli from pg_stat_wal_receiver where status = 'streaming'`,
    );
    return Number(received) === timeline;
  }).catch(() => false);
}

/**
 * How this host's standby reaches the primary. A password in primary_conninfo would lie in every backup: a passfile
 * keeps it out.
 */
async function replicationConninfo(cluster: Cluster, primary: string): Promise<string> {
  const { plan, context } = cluster;
  if (!databaseHosts(context.plan, cluster.database).includes(primary))
    throw failure(
      'BadRequest',
      `${primary} is no host of ${cluster.database}`,
      'Its hosts stand in the plan: postgres.primary and standbys.',
    );
  const replication = plan.postgres.replication ?? { user: plan.postgres.user, password: plan.postgres.password };
  const passfile = join(context.state, `passfile-${cluster.database}`);
  const password = replication.password ? await secretOf(context, replication.password) : '';
  const escaped = password.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  await writeWhole(passfile, password ? `*:*:*:${replication.user}:${escaped}\n` : '', {
    owner: await dataOwner(cluster),
    mode: 0o600,
  });
  return `host=${hostAddress(context.plan, primary)} port=${onHost(plan.postgres.port, primary)} user=${replication.user} application_name=${context.host} passfile='${passfile}'`;
}

async function takeCopy(
  cluster: Cluster,
  { fresh, conninfo }: { fresh: string; conninfo: string },
  owner: Owner | undefined,
): Promise<void> {
  await demandRoom(cluster);
  await removeTree(fresh);
  await makeDirectory(fresh, owner);
  await checkpoint('after making the directory of the new standby');
  await run(
    await bin(
      cluster,
      'pg_basebackup',
      (await readdir(cluster.dataDirectory).catch(() => [])).length > 0 ? cluster.dataDirectory : fresh,
    ),
    ['-D', fresh, '-d', conninfo, '-R', '-X', 'stream', '--checkpoint=fast', '--no-password', '--progress'],
    {
      owner,
      ledger: ledger(cluster, 'pg_basebackup'),
      onLine: (line) => {
        const percent = /\((\d+)%\)/.exec(line)?.[1];
        if (percent)
          progress({ what: `copying from the primary to ${cluster.context.host}`, percent: Number(percent) });
      },
    },
  );
  // A copy of the primary has the primary's port and files; this host has its own.
  await engineOf(cluster).writeConfig(cluster);
  const settings = [
    `port = ${cluster.port}`,
    `unix_socket_directories = '${cluster.socketDirectory}'`,
    `restore_command = '${engineOf(cluster).restoreCommand(cluster).replaceAll("'", "''")}'`,
  ];
  await appendFile(join(fresh, 'postgresql.auto.conf'), `${settings.join('\n')}\n`);
  await removeTree(join(fresh, 'pg_hba.conf.lifeboat-open'));
  await writeWhole(completeMark(fresh), '', { what: 'marking the new standby as complete' });
}
