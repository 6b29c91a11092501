import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Lab } from '../../lab/lab.js';
import { checkout } from '../../lab/root.js';

/** What an agent does with dumps, in a process of its own that can be killed. It runs what was built. */

const script = `
  import { loadPlan } from '${pathToFileURL(join(checkout, 'dist/plan/load.js')).href}';
  import { hostState } from '${pathToFileURL(join(checkout, 'dist/activities/context.js')).href}';
  import { logical } from '${pathToFileURL(join(checkout, 'dist/activities/backups/logical/provider.js')).href}';
  const { what, host, input } = JSON.parse(process.env.ASKED);
  const { plan, digest, directory } = await loadPlan(process.env.LIFEBOAT_PLAN);
  const context = { plan, planDirectory: directory, planDigest: digest, host, state: await hostState(plan.system, host) };
  console.log(JSON.stringify(await logical[what](context).execute(input)));
`;

export interface Ended {
  /** 0, an exit code, or the name of the signal that killed it. */
  how: number | string;
  stdout: string;
  stderr: string;
}

export interface Asked {
  what: 'take' | 'restore' | 'testRestore';
  input: unknown;
  host?: string;
}

/** Does it once. `walk`: a file of the points at which it does not kill itself any more. */
export function once(
  lab: Lab,
  { what, input, host = 'db1' }: Asked,
  options: { walk?: string; onStart?: (pid: number) => void } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: lab.directory,
    env: {
      ...lab.env,
      ASKED: JSON.stringify({ what, input, host }),
      ...(options.walk ? { LIFEBOAT_FAULT_WALK: options.walk } : {}),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  options.onStart?.(child.pid!);
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ how: signal ?? code ?? 0, stdout, stderr })));
}

/** Does it again and again, killed at every point that it comes to, less those of `without`, until it gets through. Calls `between` after each death. */
export async function walk(
  lab: Lab,
  asked: Asked,
  name: string,
  between: (point: string) => Promise<void>,
  without: string[] = [],
): Promise<{ result: unknown; points: string[] }> {
  const file = join(lab.directory, `${name}.walk`);
  const points = () => readFileSync(file, 'utf8').split('\n').filter(Boolean);
  writeFileSync(file, without.map((point) => `${point}\n`).join(''));
  for (let tries = 0; tries < 100; tries += 1) {
    const { how, stdout, stderr } = await once(lab, asked, { walk: file });
    if (how === 0) return { result: JSON.parse(stdout), points: points() };
    if (how !== 'SIGKILL') throw new Error(`it ended with ${how} after ${points().join(', ')}: ${stderr}`);
    await between(points().at(-1)!);
  }
  throw new Error(`it does not come to its end: ${points().join(', ')}`);
}
