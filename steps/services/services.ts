import type { At } from '../step.js';

/** The services of the database on all of their hosts, at once. */

/** Returns a line for each that was stopped, and for each that could not be. */
export async function stopServices(at: At): Promise<{ stopped: string[]; failed: string[] }> {
  const stopped: string[] = [];
  const failed: string[] = [];
  await eachService(at, (service, host) =>
    at.orElse(
      async () => void stopped.push((await at.on(host, 'change').stopService({ service })).summary),
      ({ message }) => void failed.push(`${service} on ${host} was not stopped: ${message}`),
    ),
  );
  return { stopped, failed };
}

/** Returns a line for each. Throws when one does not start. */
export async function startServices(at: At): Promise<string[]> {
  const started: string[] = [];
  await eachService(at, async (service, host) => {
    started.push((await at.on(host, 'change').startService({ service })).summary);
  });
  return started;
}

async function eachService({ plan }: At, work: (service: string, host: string) => Promise<void>): Promise<void> {
  await Promise.all(plan.services.flatMap(({ name, hosts }) => hosts.map((host) => work(name, host))));
}

export const serviceNames = ({ plan }: At): string[] => plan.services.map(({ name }) => name);
