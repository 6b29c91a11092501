import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { drillWorkflowId, incidentWorkflowId } from '../../vocabulary/names.js';
import type { IncidentState } from '../../vocabulary/incident.js';
import { dropTable, overwritePages } from '../damage.js';
import { createLab, type Lab } from '../lab.js';
import { burst } from '../shop.js';
import { until } from '../wait.js';
import { restoreByHand, type Restore, samePageCache } from './by-hand.js';
import { addDocuments, databaseMegabytes, orders } from './documents.js';
import { type MemoryWatch, watchMemory } from './memory.js';
import { type OwnShare, ownShare, readTrace, recoveredAt, serverTimes } from './own-share.js';
import { median, type Span } from './spans.js';
import { type Part, say } from './table.js';
import { traceVariable } from './trace.js';

/**
 * How much slower the restore is than by hand, what the orchestration costs in a whole incident, and what the processes
 * take of memory.
 */

const drills = 6;
const watchSeconds = 5;

interface Pair {
  byHand: number;
  lifeboat: number;
  in: 'drill' | 'incident';
}

export async function measureRestore(): Promise<Part> {
  say('restore: a database of about 600 MB, with a standby and a service');
  const lab = await createLab({ standby: true, rows: orders, watch: `${watchSeconds}s` });
  try {
    return await measure(lab);
  } finally {
    await lab.stop();
  }
}

async function measure(lab: Lab): Promise<Part> {
  const trace = join(lab.directory, 'trace.jsonl');
  const preload = pathToFileURL(join(import.meta.dirname, 'trace.js')).href;
  await lab.startControl();
  await lab.startAgents(undefined, { NODE_OPTIONS: `--import=${preload}`, [traceVariable]: trace });
  await addDocuments(lab);
  const megabytes = await databaseMegabytes(lab);
  say(`a full backup of ${megabytes} MB`);
  const restore = await prepare(lab);
  const temporal = new Client({ connection: await Connection.connect({ address: lab.temporalAddress }) });
  const memory = watchMemory({ 'control worker': lab.control!.pid(), 'agent of db1': lab.agents['db1']!.pid() });
  const pairs: Pair[] = [];
  const restores: Span[] = [];
  const keep = (byHand: number, state: IncidentState, kind: Pair['in']) => {
    const span = restoreSpan(state);
    restores.push(span);
    pairs.push({ byHand, lifeboat: (span.to - span.from) / 1000, in: kind });
    say(`  by hand ${byHand.toFixed(2)} s, in the ${kind} ${pairs.at(-1)!.lifeboat.toFixed(2)} s`);
  };

  for (let drill = 1; drill <= drills; drill += 1) {
    say(`pair ${drill}: by hand, then in a drill`);
    const byHand = await handRestore(lab, restore);
    await samePageCache(lab);
    keep(byHand, await drilled(lab, temporal, restore.target), 'drill');
  }
  say(`pair ${drills + 1}: by hand, then in a whole incident`);
  const byHand = await handRestore(lab, restore);
  await overwritePages(lab.primary, 'orders');
  await dropTable(lab.primary, 'payments');
  await samePageCache(lab);
  const { state, share } = await incident(lab, temporal, restore.target, trace);
  keep(byHand, state, 'incident');
  memory.stop();
  await temporal.connection.close();
  return part({ megabytes, pairs, share, memory: memoryRows(memory, restores) });
}

/** A backup, some WAL after it, and a target time in that WAL. */
async function prepare(on: Lab): Promise<Restore> {
  const made = await on.cli(['backup', 'create', '--full', '--json']);
  if (made.code !== 0) throw new Error(`no backup: ${made.stdout}${made.stderr}`);
  await on.primary.asApp(`UPDATE orders SET status = 'paid' WHERE id <= 20000`);
  await burst(on.primary, 100);
  await pause(2500);
  const target = new Date().toISOString();
  // The canary commits after the target, and the segment that holds both is archived.
  await pause(2500);
  await on.primary.sql('SELECT pg_switch_wal()');
  const [segment] = await on.primary.sql<{ name: string }>('SELECT pg_walfile_name(pg_current_wal_lsn() - 1) AS name');
  await until(
    `the WAL segment ${segment!.name} is archived`,
    async () => {
      const [archiver] = await on.primary.sql<{ done: boolean }>(
        'SELECT last_archived_wal >= $1 AND failed_count >= 0 AS done FROM pg_stat_archiver',
        [segment!.name],
      );
      return archiver?.done;
    },
    120,
    200,
  );
  // What the load left to be written would slow down whoever comes first.
  for (const cluster of [on.primary, on.standby!]) await cluster.sql('CHECKPOINT');
  return { label: (JSON.parse(made.stdout) as { id: string }).id, target };
}

async function handRestore(lab: Lab, restore: Restore): Promise<number> {
  await samePageCache(lab);
  return restoreByHand(lab, restore);
}

async function drilled(lab: Lab, temporal: Client, target: string): Promise<IncidentState> {
  const run = await lab.cli(['drill', 'start', 'database-corruption', '--to', target, '--json']);
  if (run.code !== 0) throw new Error(`the drill ended with ${run.code}: ${run.stdout}${run.stderr}`);
  return temporal.workflow.getHandle(drillWorkflowId(lab.system)).query<IncidentState>('state');
}

async function incident(
  lab: Lab,
  temporal: Client,
  target: string,
  trace: string,
): Promise<{ state: IncidentState; share: OwnShare }> {
  const from = Date.now();
  const following = lab.cli(['start', 'database-corruption', '--to', target, '--wait', '--as', 'ben', '--json']);
  const handle = temporal.workflow.getHandle(incidentWorkflowId(lab.system));
  const question = await until(
    'the question',
    async () => {
      const state = await handle.query<IncidentState>('state');
      if (state.question && state.question.kind !== 'approval') throw new Error(JSON.stringify(state.question));
      return state.question?.kind === 'approval' ? String(state.question.id) : undefined;
    },
    180,
    250,
  );
  // From here on it is our time again: the command has to start, too.
  const approved = Date.now();
  const approval = await lab.cli(['approve', '--as', 'asha', '--question', question]);
  if (approval.code !== 0) throw new Error(`not approved: ${approval.stderr}`);
  const ended = await following;
  if (ended.code !== 0) throw new Error(`the incident ended with ${ended.code}: ${ended.stdout}${ended.stderr}`);
  const state = await handle.query<IncidentState>('state');
  const history = await handle.fetchHistory();
  const asked = Date.parse(state.steps.find(({ name }) => name === 'Approve')!.startedAt);
  const share = ownShare({
    whole: { from, to: recoveredAt(history) },
    people: { from: asked, to: approved },
    watchSeconds,
    history,
    traced: readTrace(trace),
    servers: serverTimes(lab),
  });
  return { state, share };
}

function restoreSpan(state: IncidentState): Span {
  const step = state.steps.find(({ name }) => name === 'Restore beside')!;
  if (step.status !== 'done' || step.attempts !== 1 || !step.endedAt)
    throw new Error(`the restore did not go through: ${JSON.stringify(step)}`);
  return { from: Date.parse(step.startedAt), to: Date.parse(step.endedAt) };
}

type Memory = { name: string; max: number; first: number; middle: number; last: number }[];

function memoryRows(memory: MemoryWatch, restores: Span[]): Memory {
  return ['control worker', 'agent of db1'].map((name) => ({ name, ...memory.within(name, restores) }));
}

interface Results {
  megabytes: number;
  pairs: Pair[];
  share: OwnShare;
  memory: Memory;
}

function part({ pairs, share, memory, megabytes }: Results): Part {
  const ratio = median(pairs.map(({ byHand, lifeboat }) => lifeboat / byHand));
  const rows: Part['rows'] = [
    {
      what: `restore of ${megabytes} MB, against pgbackrest restore and start by hand (median of ${pairs.length} pairs)`,
      measured: `${ratio.toFixed(3)}x`,
      aim: 'at most 1.05x',
      met: ratio <= 1.05,
    },
    {
      what: `the orchestration's own share of a whole incident of ${share.total.toFixed(1)} s`,
      measured: `${share.own.toFixed(2)} s`,
      aim: 'under 8 s',
      met: share.own < 8,
    },
    ...memory.map(({ name, max, first, middle, last }) => ({
      what: `memory of the ${name} while a restore runs`,
      measured: `${max.toFixed(0)} MB at most; ${[first, middle, last].map((one) => one.toFixed(0)).join(', ')} in the first, middle, last restore`,
      aim: 'flat, under 250 MB',
      // A process that was just started warms up; from the middle on it has to stay where it is.
      met: max < 250 && last <= middle * 1.1,
    })),
  ];
  const inside = Object.entries(share.inside)
    .sort(([, a], [, b]) => b - a)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`)
    .join(', ');
  return {
    rows,
    lines: [
      `pairs, by hand and ours in s: ${pairs.map(({ byHand, lifeboat }) => `${byHand.toFixed(2)} ${lifeboat.toFixed(2)}`).join(' · ')}`,
      `the incident, in s: tools ${share.tools.toFixed(1)}, people ${share.people.toFixed(1)}, watching ${share.watch}, own ${share.own.toFixed(2)}`,
      `own share, in s: until it began ${share.before.toFixed(2)}, waiting for a worker ${share.queued.toFixed(2)}, between activities ${share.between.toFixed(2)}, inside of them: ${inside}`,
    ],
    figures: { restore: { ratio, pairs }, ownShare: share, memory, megabytes },
  };
}
