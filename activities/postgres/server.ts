import { constants } from 'node:fs';
import { mkdir, readdir, readlink, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cancelled } from '../capability.js';
import { checkpoint } from '../checkpoint.js';
import { failure } from '../errors.js';
import { exists, openRegular, ownFor, readFile } from '../files.js';
import { run, tail } from '../run.js';
import { bin, type Cluster, dataOwner } from './cluster.js';

/** Starting and stopping PostgreSQL, in its place or beside it. */

/**
 * The PID of the postmaster of this data directory; undefined when none is alive. A zombie is dead, and a reused PID is
 * somebody else.
 */
export async function postmasterPid(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(text.split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (state === undefined) return process.platform === 'linux' ? undefined : pid;
  if (/\) [ZX] /.test(state)) return undefined;
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  // A renamed directory keeps its inode: compare what is there, not the path by which it was started.
  if (cwd !== undefined && !(await sameDirectory(cwd.replace(/ \(deleted\)$/, ''), directory))) return undefined;
  return pid;
}

async function sameDirectory(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a).catch(() => undefined), stat(b).catch(() => undefined)]);
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/**
 * Ends what a postmaster that died left behind: its backends live on until their statement is done, and may still
 * commit it. Only programs named postgres that work in this very directory, or in one that was removed from its place,
 * are touched. Linux tells; elsewhere nothing is done. Returns how many there were.
 */
export async function endOrphans(directory: string): Promise<number> {
  const own = await stat(directory).catch(() => undefined);
  if (await postmasterPid(directory)) return 0;
  const found = new Set<number>();
  for (let left = 100; left > 0; left -= 1) {
    const alive = await postgresIn(directory, own);
    if (alive.length === 0) return found.size;
    for (const pid of alive) {
      found.add(pid);
      try {
        process.kill(pid, left > 50 ? 'SIGQUIT' : 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw failure(
    'ServerFailed',
    `backends of ${directory} live on without their postmaster, and do not end`,
    'End them by hand on the host, then: lifeboat decide retry',
  );
}

/** One whose directory was removed under its hands works on in it; the kernel says so of its path. */
async function postgresIn(path: string, directory: { dev: number; ino: number } | undefined): Promise<number[]> {
  const pids = (await readdir('/proc').catch((): string[] => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const works = await Promise.all(
    pids.map(async (pid) => {
      const program = await readlink(`/proc/${pid}/exe`).catch(() => '');
      if (basename(program.replace(/ \(deleted\)$/, '')) !== 'postgres') return false;
      const cwd = await stat(`/proc/${pid}/cwd`).catch(() => undefined);
      if (directory && cwd?.dev === directory.dev && cwd.ino === directory.ino) return true;
      return (await readlink(`/proc/${pid}/cwd`).catch(() => '')) === `${path} (deleted)`;
    }),
  );
  return pids.filter((_, at) => works[at]);
}

/**
 * PostgreSQL refuses to start while the PID in postmaster.pid exists, although it is a zombie or somebody else's by
 * now: it looks no further than kill(pid, 0). Call only when {@link postmasterPid} found nobody.
 */
async function clearStalePid(directory: string): Promise<void> {
  await endOrphans(directory);
  const file = join(directory, 'postmaster.pid');
  // Lines of the file: PID, data directory, start, port, directory of the socket.
  const [pid, , , port, socketDirectory] = (await readFile(file, 'utf8').catch(() => ''))
    .split('\n')
    .map((line) => line.trim());
  if (pid && port && socketDirectory) {
    const lock = join(socketDirectory, `.s.PGSQL.${port}.lock`);
    const holder = (await readFile(lock, 'utf8').catch(() => '')).split('\n')[0]?.trim();
    // The same dead postmaster's: of anybody else's socket PostgreSQL itself decides.
    if (holder === pid) await rm(lock, { force: true });
  }
  await rm(file, { force: true });
  await checkpoint('after clearing a stale PID file');
}

export interface StartOptions {
  directory?: string;
  /** Settings for this start only: never through systemd, which starts it as it is configured. */
  settings?: Record<string, string>;
  /** Beside the real one: never through systemd or Debian's own programs, and with its log in this file. */
  log?: string;
}

/** Where production logs when it is pg_ctl that we start it with. */
export const ownLogFile = (cluster: Cluster): string => join(cluster.context.state, 'logs', `${cluster.database}.log`);

/** Where production writes its log when it is we who start it; Debian's own way to start it has a place of its own. */
export const logFile = (cluster: Cluster): string => {
  const { debianCluster } = cluster.plan.postgres;
  return debianCluster ? `/var/log/postgresql/postgresql-${debianCluster}.log` : ownLogFile(cluster);
};

/**
 * Version and name, as pg_ctlcluster takes them: it knows the groups, the environment and the options that this cluster
 * is started with.
 */
const debian = ({ plan }: Cluster): [string, string] | undefined => {
  const [, version, name] = /^([\d.]+)-(.*)$/.exec(plan.postgres.debianCluster ?? '') ?? [];
  return version && name ? [version, name] : undefined;
};

/**
 * Asks the server to start and returns at once; what is running already stays. Throws ServerFailed, with what its log
 * says.
 */
export async function launch(cluster: Cluster, options: StartOptions = {}): Promise<void> {
  const directory = options.directory ?? cluster.dataDirectory;
  if (await postmasterPid(directory)) return;
  const { systemd, configFile } = cluster.plan.postgres;
  const debianCluster = debian(cluster);
  if (systemd && !options.log && !options.settings) {
    await run('systemctl', ['start', systemd], { ledger: ledger(cluster, 'systemctl-start') });
    return;
  }
  await clearStalePid(directory);
  if (debianCluster && !options.log && !options.settings) {
    // Code 2: somebody has started it meanwhile.
    // It would wait a minute for the end of a recovery that may take hours; whoever waits for the server is untilReady.
    await run('pg_ctlcluster', ['--skip-systemctl-redirect', ...debianCluster, 'start', '--', '-W'], {
      accept: [2],
      ledger: ledger(cluster, 'pg_ctlcluster-start'),
    });
    return;
  }
  const owner = await dataOwner(cluster);
  const log = options.log ?? ownLogFile(cluster);
  await mkdir(dirname(log), { recursive: true });
  await ownFor(dirname(log), owner);
  // A fresh log for each recovery beside: what it says is believed, so nothing of an earlier one may be in it. A copy
  // that is recovered
  // already has said all it had to say, and may be started again.
  if (options.log) {
    const recovers = (
      await Promise.all(['recovery.signal', 'standby.signal'].map((name) => exists(join(directory, name))))
    ).some(Boolean);
    await (
      await openRegular(
        log,
        constants.O_WRONLY | constants.O_CREAT | (recovers ? constants.O_TRUNC : constants.O_APPEND),
      )
    ).close();
    await ownFor(log, owner);
  }
  // A postgresql.conf outside of the data directory (Debian's) names production's directory, which would beat -D.
  const settings: Record<string, string> = {
    ...(configFile ? { config_file: configFile, data_directory: directory } : {}),
    ...options.settings,
  };
  const flags = [
    `-p ${cluster.port}`,
    ...Object.entries(settings).map(([key, value]) => `-c ${key}='${value.replaceAll("'", "\\'")}'`),
  ];
  await run(
    await bin(cluster, 'pg_ctl', directory),
    ['-D', directory, '-l', log, '-W', '-o', flags.join(' '), 'start'],
    {
      owner,
      ledger: options.log
        ? ledger(cluster, 'pg_ctl-start-scratch', basename(options.log, '.log'))
        : ledger(cluster, 'pg_ctl-start'),
    },
  );
}

/**
 * Stops the server of a directory: fast, and immediate when that does not end it. Throws ServerFailed when it still
 * runs.
 */
export async function stopServer(
  cluster: Cluster,
  directory = cluster.dataDirectory,
): Promise<'clean' | 'immediate' | 'was stopped'> {
  if (!(await postmasterPid(directory))) {
    await endOrphans(directory);
    return 'was stopped';
  }
  const { systemd } = cluster.plan.postgres;
  const debianCluster = debian(cluster);
  if (directory === cluster.dataDirectory) {
    if (systemd) await run('systemctl', ['stop', systemd], { ledger: ledger(cluster, 'systemctl-stop') });
    // One that does not end by it (1), or does not run any more for Debian (2), is ended below.
    else if (debianCluster)
      await run(
        'pg_ctlcluster',
        ['--skip-systemctl-redirect', '-m', 'fast', ...debianCluster, 'stop', '--', '-t', '120'],
        {
          accept: [1, 2],
          ledger: ledger(cluster, 'pg_ctlcluster-stop'),
        },
      );
  }
  const owner = await dataOwner(cluster);
  for (const mode of ['fast', 'immediate'] as const) {
    if (!(await postmasterPid(directory))) return 'clean';
    const stop = await run(
      await bin(cluster, 'pg_ctl', directory),
      ['-D', directory, '-m', mode, '-w', '-t', mode === 'fast' ? '120' : '30', 'stop'],
      {
        owner,
        accept: [1],
        ledger: ledger(cluster, `pg_ctl-stop-${mode}`),
      },
    );
    if (stop.code === 0 || !(await postmasterPid(directory))) return mode === 'fast' ? 'clean' : 'immediate';
  }
  throw failure(
    'ServerFailed',
    `PostgreSQL of ${directory} does not stop`,
    'Look at its processes on the host (ps, strace); stop it by hand, then: lifeboat decide retry',
  );
}

/** Waits until `ready` says so. Throws ServerFailed as soon as the server is gone, with what its log says. */
export async function untilReady<T>(
  cluster: Cluster,
  options: { directory: string; log?: string; seconds: number; what: string },
  ready: () => Promise<T | undefined>,
): Promise<T> {
  const began = Date.now();
  const deadline = began + options.seconds * 1000;
  let goneSince: number | undefined;
  for (;;) {
    cancelled()?.throwIfAborted();
    const answer = await ready();
    if (answer !== undefined) return answer;
    // pg_ctl -W returns before the postmaster has written its PID file, and a busy host takes a while: its log may say
    // sooner that it is gone.
    goneSince = (await postmasterPid(options.directory)) ? undefined : (goneSince ?? Date.now());
    const gone = goneSince === undefined ? 0 : Date.now() - goneSince;
    if (
      gone > 10_000 ||
      (gone > 1000 && /FATAL|PANIC|shut down/.test((await serverLog(cluster, options.log)).slice(-5).join(' ')))
    )
      throw failure(
        'ServerFailed',
        `${options.what}: PostgreSQL ended: ${await logTail(cluster, options.log)}`,
        serverHint(cluster),
      );
    if (Date.now() > deadline)
      throw failure(
        'ServerFailed',
        `${options.what}: not within ${options.seconds} s: ${await logTail(cluster, options.log)}`,
        serverHint(cluster),
      );
    // Often at first, then seldom: never more than a fiftieth of the wait is lost, and a recovery of hours is not
    // disturbed.
    await new Promise((resolve) => setTimeout(resolve, Math.min(500, Math.max(20, (Date.now() - began) / 50))));
  }
}

const serverHint = (cluster: Cluster) =>
  `Read the server's log on ${cluster.context.host}, fix the cause, then: lifeboat decide retry`;

export async function serverLog(cluster: Cluster, log = logFile(cluster)): Promise<string[]> {
  return (await readFile(log, 'utf8').catch(() => '')).split('\n').filter(Boolean);
}

export async function logTail(cluster: Cluster, log?: string): Promise<string> {
  const lines = await serverLog(cluster, log);
  const last = lines.slice(-60);
  // Why a server ended is FATAL or PANIC; what else failed meanwhile (a standby that asked in vain) is not the reason.
  const why = last.filter((line) => /FATAL|PANIC/.test(line));
  return lines.length === 0 ? 'its log is empty' : tail(why.length > 0 ? why.slice(-2) : last);
}

/**
 * Where a program that works on this database is written down. `of`: an incident whose programs run beside another's.
 */
export const ledger = (cluster: Cluster, name: string, of?: string) => ({
  directory: join(cluster.context.state, 'running'),
  name: [cluster.database, name, ...(of ? [of] : [])].join('-'),
  point: `${cluster.database}-${name}`,
});
