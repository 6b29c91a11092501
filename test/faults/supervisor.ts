import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startChild, tail, type Child } from '../../lab/child.js';
import type { Lab } from '../../lab/lab.js';
import { cliEntry } from '../../lab/root.js';

/** What keeps a process of Lifeboat running as systemd would: it dies, and is started again at once. */
export interface Supervised {
  name: string;
  log: string;
  child(): Child;
  /** How often it died without being stopped. */
  deaths(): number;
  kill9(): Promise<void>;
  stop(): Promise<void>;
}

export async function supervise(
  lab: Lab,
  name: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Supervised> {
  const log = join(lab.directory, 'logs', `${name}.log`);
  const start = (): Promise<Child> =>
    startChild({
      program: process.execPath,
      args: [cliEntry, ...args, '--plan', lab.planPath],
      cwd: lab.directory,
      env: { ...lab.env, ...env },
      log,
    });
  let child = await start();
  let deaths = 0;
  let wanted = true;
  const keeping = (async () => {
    while (wanted) {
      if (!child.isAlive()) {
        deaths += 1;
        // One that ends at once, time after time, would keep the machine busy with nothing else.
        if (deaths > 1000) throw new Error(`${name} does not live:\n${tail(log)}`);
        child = await start();
      }
      await pause(10);
    }
  })();
  keeping.catch(() => undefined);
  return {
    name,
    log,
    child: () => child,
    deaths: () => deaths,
    kill9: () => child.kill9(),
    async stop() {
      wanted = false;
      await keeping;
      await child.stop(30);
    },
  };
}

export const superviseAgents = (lab: Lab, env: Record<string, string> = {}): Promise<Supervised[]> =>
  Promise.all(
    Object.keys(lab.plan.hosts).map((host) => supervise(lab, `agent-${host}`, ['agent', '--host', host], env)),
  );
