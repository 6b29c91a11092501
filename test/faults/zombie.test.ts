import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { hostState } from '../../activities/context.js';
import { clusterOf } from '../../activities/postgres/cluster.js';
import { launch, postmasterPid } from '../../activities/postgres/server.js';
import { readPidFile } from '../../lab/cluster.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { databaseUser } from '../../lab/os-user.js';
import { childrenOf, signal } from '../../lab/processes.js';
import { tool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import { loadPlan } from '../../plan/load.js';
import { endLab } from '../helpers/incident.js';

let lab: Lab | undefined;
const environment = { ...process.env };
afterAll(async () => {
  process.env = environment;
  await endLab(lab);
});

const stateOf = (pid: number): string | undefined => {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3);
};

/** Patroni took a killed postmaster that nobody had reaped for a living one, and never failed over. */
test.runIf(process.platform === 'linux')('a postmaster that was killed and left as a zombie is dead', async () => {
  lab = await createLab({ fast: true, temporal: 'none', service: false });
  const { primary } = lab;
  await primary.stop();
  // Its parent becomes a program that never asks for its children's end.
  const parent = spawn(
    '/bin/sh',
    ['-c', '"$0" -D "$1" >/dev/null 2>&1 & exec sleep 600', tool('postgres'), primary.dataDirectory],
    {
      ...databaseUser,
      cwd: primary.directory,
      env: { ...lab.env, LC_ALL: 'C' },
      stdio: 'ignore',
    },
  );
  await until('PostgreSQL', () => readPidFile(primary.dataDirectory)?.status === 'ready');
  const { pid } = readPidFile(primary.dataDirectory)!;
  expect(await postmasterPid(primary.dataDirectory)).toBe(pid);

  for (const child of childrenOf(pid)) signal(child, 'SIGKILL');
  signal(pid, 'SIGKILL');
  await until('it is a zombie', () => stateOf(pid) === 'Z');
  await until('its children are gone', () => childrenOf(pid).length === 0);
  expect(readFileSync(`${primary.dataDirectory}/postmaster.pid`, 'utf8')).toMatch(new RegExp(`^${pid}\n`));
  expect(await postmasterPid(primary.dataDirectory), 'the postmaster of the data directory').toBeUndefined();

  // PostgreSQL itself would refuse to start as long as the zombie is there.
  Object.assign(process.env, lab.env);
  const { plan, digest, directory } = await loadPlan(lab.planPath);
  const context = {
    plan,
    planDigest: digest,
    planDirectory: directory,
    host: 'db1',
    state: await hostState(plan.system, 'db1'),
  };
  await launch(clusterOf(context, 'main'));
  await until('it is started again', () => readPidFile(primary.dataDirectory)?.status === 'ready');
  expect(stateOf(pid), 'the zombie').toBe('Z');
  expect(await primary.sql('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  parent.kill('SIGKILL');
});
