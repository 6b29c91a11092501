import { parseArgs } from 'node:util';
import { destroyData, failingQueries } from './demo-disaster.js';
import { recover } from './demo-recovery.js';
import { compare, keepReport, type Counts, countAll } from './demo-result.js';
import { createLab, type Lab } from './lab.js';
import { ask, startMonitor } from './monitor.js';
import { freePort } from './ports.js';
import { createTelling, type Telling } from './narrator.js';
import { until } from './wait.js';

/** `npm run demo`: destroys a real database on this machine, and lets one command of Lifeboat bring it back. */

const usage = `usage: npm run demo [-- [debian] [--keep]]

  debian   the database is a cluster of Debian's own pg_createcluster, with its defaults (as root)
  --keep   when it is over, leave everything running until Ctrl-C, to look around`;

async function main(): Promise<void> {
  const options = readArguments();
  if (!options) return;
  const tell = createTelling();
  // Everything of the lab ends with this process, by lab/cleanup.ts; this is what a person sees of it.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      process.stdout.write(`\n   ${name}: ending everything that the demo started, and removing its files.\n`);
      process.exit(holding ? (process.exitCode ?? 0) : 130);
    });
  }
  let lab: Lab | undefined;
  try {
    lab = await setUp(tell, options.debian);
    process.exitCode = (await tellStory(lab, tell)) ? 0 : 1;
    if (options.keep) await hold(lab, tell);
  } catch (error) {
    process.exitCode = 1;
    tell.bad(`The demo did not get to its end: ${(error as Error).message}`);
    if (lab && options.keep) await hold(lab, tell);
  } finally {
    // A live view that was killed leaves the cursor hidden.
    if (process.stdout.isTTY) process.stdout.write('\x1b[?25h');
    await lab?.stop();
  }
  tell.say('Everything that the demo started has ended, and its files are removed.');
}

function readArguments(): { keep: boolean; debian: boolean } | undefined {
  try {
    const { values, positionals } = parseArgs({
      options: { keep: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const unknown = positionals.filter((one, at) => one !== 'debian' || at > 0);
    if (unknown.length > 0) throw new Error(`"${unknown[0]}" is not known`);
    if (positionals.length > 0 && process.getuid?.() !== 0)
      throw new Error("Debian's clusters are made and started as root");
    if (!values.help) return { keep: values.keep, debian: positionals.length > 0 };
    console.log(usage);
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    process.exitCode = 2;
  }
  return undefined;
}

let holding = false;
let temporalUi = '';

async function setUp(tell: Telling, debian: boolean): Promise<Lab> {
  tell.say(
    'Lifeboat recovers systems from disasters. This demo builds a small one on this machine, destroys its data for real, and recovers it ' +
      'with one command. It uses real programs, local ports and one temporary directory. Ctrl-C ends it at any time, and removes it all.',
  );

  tell.phase('A small shop');
  tell.say(
    debian
      ? "What a team has: a database as Debian's pg_createcluster makes it, with its defaults, and a web service that customers use. Clusters " +
          'that are on this machine already are left alone.'
      : 'What a team has: a database, a standby that follows it, and a web service that customers use.',
  );
  const lab = await tell.doing(
    `starting PostgreSQL${debian ? ' by pg_ctlcluster' : ' with a standby'}, filling it, starting the web service`,
    () =>
      createLab({
        temporal: 'none',
        ...(debian ? { debian } : { standby: true }),
        rows: 20_000,
        locations: 2,
        watch: '5s',
        // The first one on call in the plan; a name in the record, not an account.
        env: { LIFEBOAT_USER: 'ben' },
      }),
    ({ primary, standby }) =>
      standby
        ? `PostgreSQL runs on "host" ${primary.host}, its standby on ${standby.host}: two hosts played by this machine`
        : `PostgreSQL runs on "host" ${primary.host}: cluster ${primary.debian!.version}/${primary.debian!.name}, its data at ${primary.dataDirectory}`,
  );
  try {
    const [server] = await lab.primary.sql<{ version: string; size: string }>(
      `SELECT current_setting('server_version') AS version, pg_size_pretty(pg_database_size(current_database())) AS size`,
    );
    tell.fact(`PostgreSQL ${server!.version}, ${server!.size}: ${words(await countAll(lab))}`);
    tell.fact(
      `the web service on app1 answers ${(await ask(`${lab.serviceUrl}/health`)).says} at ${lab.serviceUrl}/health`,
    );

    tell.phase('Lifeboat beside it');
    tell.say(
      'A team describes its system in one plan file. "lifeboat up" starts what carries the plan out: Temporal (which remembers every ' +
        'step of a recovery, whatever crashes meanwhile), a control worker, and one agent on each host.',
    );
    tell.command('lifeboat up');
    const uiPort = await freePort();
    temporalUi = `http://127.0.0.1:${uiPort}`;
    await tell.doing(
      'starting Temporal, the control worker and the agents',
      () => lab.startUp(['--ui-port', String(uiPort)], { LIFEBOAT_TEMPORAL_UI: temporalUi }),
      () =>
        `Temporal, the control worker, and the agents of ${debian ? 'db1' : 'db1, db2'} and app1 are ready for work`,
    );
    tell.copy("Temporal's own UI, for as long as the demo runs:", temporalUi);
    return lab;
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

/** True when what was destroyed is back, and everything about it could be shown. */
async function tellStory(lab: Lab, tell: Telling): Promise<boolean> {
  tell.phase('A backup');
  tell.say(
    'It goes to every location of the plan, encrypted. Between backups PostgreSQL archives its log of changes (WAL) there, so that any ' +
      'moment can be restored. And every two seconds the agent updates one row, the canary: its age in a restored copy tells how much was lost.',
  );
  tell.command('lifeboat backup create --full');
  await tell.doing(
    'pgBackRest copies the database to both locations, and reads it back',
    () => mustSucceed(lab, ['backup', 'create', '--full']),
    (out) => out,
  );

  tell.phase('Business as usual');
  const monitor = startMonitor(lab.serviceUrl);
  try {
    const orders = 60;
    const before = await tell.doing(
      `customers place ${orders} orders at the web service`,
      () => placeOrders(lab, orders),
      (counts) => `${orders} more orders since the backup. Now: ${words(counts)}`,
    );
    const placed = Date.now();
    await until('the monitor sees a healthy service', () => (monitor.lastGood()?.getTime() ?? 0) > placed);

    const disaster = await destroyData(lab, tell, monitor);
    const failing = await failingQueries(lab, tell);
    if (!failing) {
      tell.bad('The damage does not show: there is nothing to recover here.');
      return false;
    }

    const state = await recover(lab, tell, disaster.target);
    if (!state) return false;
    const whole = await compare(lab, tell, { before, state, lostCustomers: disaster.lostCustomers });
    tell.copy('The report of the incident, kept:', keepReport(state));
    tell.copy("Temporal's own UI, where the whole history stands:", temporalUi);
    return whole;
  } finally {
    await monitor.stop();
  }
}

async function placeOrders(lab: Lab, orders: number): Promise<Counts> {
  for (let n = 0; n < orders; n += 1) {
    const { ok, says } = await ask(`${lab.serviceUrl}/orders`, 'POST');
    if (!ok) throw new Error(`the web service did not take an order: ${says}`);
  }
  return countAll(lab);
}

async function mustSucceed(lab: Lab, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.cli(args);
  if (code !== 0) throw new Error(`lifeboat ${args.join(' ')} ended with code ${code}: ${(stderr || stdout).trim()}`);
  return stdout.trim();
}

const words = ({ customers, orders, payments }: Counts): string =>
  `${customers} customers, ${orders} orders, ${payments} payments`;

/** Leaves everything running until Ctrl-C. */
async function hold(lab: Lab, tell: Telling): Promise<void> {
  holding = true;
  tell.phase('Look around');
  tell.say('Everything still runs. In another terminal, in this folder:');
  tell.copy('', `export LIFEBOAT_PLAN=${lab.planPath} TEMPORAL_ADDRESS=${lab.temporalAddress} LIFEBOAT_USER=ben`);
  tell.copy('', 'npx lifeboat watch        # the incident; also: report, incidents, backup list, doctor, close');
  tell.copy('', 'npx lifeboat drill start database-corruption   # the same recovery on a scratch copy');
  tell.copy("Temporal's own UI:", temporalUi);
  tell.copy('The web service: ', lab.serviceUrl);
  tell.copy('Logs:', `${lab.directory}/logs`);
  tell.say('Ctrl-C here stops everything and removes its files.');
  await new Promise(() => setInterval(() => undefined, 60_000));
}

await main();
