import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Lab } from '../../lab/lab.js';
import { checkout } from '../../lab/root.js';
import { drillWorkflowId, incidentWorkflowId } from '../../vocabulary/names.js';
import { lifeboatOf } from './incident.js';

/** The histories of Temporal: stored, to be replayed against later code; and searched for what must never be in one. */

const historiesDirectory = join(checkout, 'test', 'histories');

/**
 * Stores the history of the incident (or drill) that is open or was the last, when `npm run histories` asks for it
 * (LIFEBOAT_STORE_HISTORIES). Nothing of this machine goes into it but temporary paths of the lab.
 */
export async function storeHistory(lab: Lab, name: string, mode: 'real' | 'drill' = 'real'): Promise<void> {
  if (!process.env['LIFEBOAT_STORE_HISTORIES']) return;
  const lifeboat = await lifeboatOf(lab);
  const workflowId = mode === 'real' ? incidentWorkflowId(lab.system) : drillWorkflowId(lab.system);
  const history = plain(await lifeboat.temporal.workflow.getHandle(workflowId).fetchHistory());
  mkdirSync(historiesDirectory, { recursive: true });
  writeFileSync(join(historiesDirectory, `${name}.json`), `${JSON.stringify(impersonal(history), null, 1)}\n`);
}

/** Stored histories, as `Worker.runReplayHistory` takes them. */
export function storedHistories(): { name: string; history: { events: Record<string, unknown>[] } }[] {
  return readdirSync(historiesDirectory)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({
      name: file.replace('.json', ''),
      history: revived(JSON.parse(readFileSync(join(historiesDirectory, file), 'utf8'))) as never,
    }));
}

/**
 * A history as JSON: texts of payloads readable, 64-bit numbers as numbers. (Temporal's own historyToJSON and
 * historyFromJSON fail where npm installs two versions of protobufjs: "type must be a Type".)
 */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    const text = Buffer.from(value).toString('utf8');
    return Buffer.from(text).equals(value) ? { $text: text } : { $base64: Buffer.from(value).toString('base64') };
  }
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if ('low' in value && 'high' in value) return Number((value as { toString(): string }).toString());
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (value === null || typeof value !== 'object') return value;
  const { $text, $base64 } = value as { $text?: string; $base64?: string };
  if ($text !== undefined) return Buffer.from($text);
  if ($base64 !== undefined) return Buffer.from($base64, 'base64');
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revived(one)]));
}

/** Without the names of this machine: who polled, where the checkout is. What a replay looks at stays as it was. */
function impersonal(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll(checkout, '/lifeboat').replaceAll(hostname(), 'host');
  if (Array.isArray(value)) return value.map(impersonal);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]): [string, unknown][] => {
      if (/^(identity|.*WorkerIdentity)$/.test(key)) return [[key, 'worker']];
      return key === 'stackTrace' ? [] : [[key, impersonal(one)]];
    }),
  );
}

/** Every history of a namespace as text, its payloads decoded. */
async function allHistories(lab: Lab): Promise<{ workflowId: string; text: string }[]> {
  const { temporal } = await lifeboatOf(lab);
  const found: { workflowId: string; text: string }[] = [];
  for await (const { workflowId, runId } of temporal.workflow.list()) {
    const history = plain(await temporal.workflow.getHandle(workflowId, runId).fetchHistory());
    // Once as JSON and once as the bare texts: a quote in a secret must not hide it.
    found.push({ workflowId, text: [JSON.stringify(history), ...texts(history)].join('\n') });
  }
  return found;
}

function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(texts) : [];
}

/** No history, no report and no log of the lab holds a secret, and no history a command of the plan. */
export async function expectNoSecrets(lab: Lab): Promise<void> {
  const histories = await allHistories(lab);
  expect(histories.length, 'there are histories to search').toBeGreaterThan(0);
  const commands = Object.values(lab.plan.services ?? {}).flatMap(({ control }) =>
    'systemd' in control
      ? []
      : [control.start, control.stop, control.status].flatMap((argv) => [
          argv.join(' '),
          JSON.stringify(argv),
          argv[1]!,
        ]),
  );
  for (const { workflowId, text } of histories) {
    for (const secret of lab.secrets)
      expect(text.includes(secret), `a secret is in the history of ${workflowId}`).toBe(false);
    for (const command of commands)
      expect(text.includes(command), `the command ${command} is in the history of ${workflowId}`).toBe(false);
  }
  const searched = [join(lab.directory, 'state', lab.system, 'reports'), join(lab.directory, 'logs')].flatMap(filesIn);
  searched.push(
    ...filesIn(join(lab.directory, 'state')).filter((file) => /\/(logs|evidence|reports)\//.test(file)),
    lab.primary.log,
  );
  for (const file of searched) {
    const text = there(() => readFileSync(file, 'utf8'), '');
    for (const secret of lab.secrets) expect(text.includes(secret), `a secret is in ${file}`).toBe(false);
  }
}

/** Every file below a directory. What a test restore has laid down there, or its server logs, may go meanwhile. */
function filesIn(directory: string): string[] {
  return there(() => readdirSync(directory, { withFileTypes: true }), []).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesIn(path) : entry.isFile() ? [path] : [];
  });
}

function there<T>(read: () => T, gone: T): T {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return gone;
    throw error;
  }
}
