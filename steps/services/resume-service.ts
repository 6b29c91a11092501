import { hostAddress, servicesOf } from '../../plan/access.js';
import { code, plain } from '../../plan/markdown.js';
import { planDuration, sentenceList } from '../../plan/words.js';
import { type At, type OnDatabase, step } from '../step.js';
import { serviceNames, startServices } from './services.js';

export const resumeService = step({
  name: 'Resume the service',
  does: 'The database is opened, the services are started, and their health is verified from outside.',
  here(plan, database) {
    const checks = servicesOf(plan, database).map((name) => {
      const { hosts, health } = plan.services[name]!;
      const urls = new Set(hosts.map((host) => health.url.replaceAll('{host}', hostAddress(plan, host))));
      return `${plain(name)} answers at ${sentenceList([...urls].map(code))} within ${planDuration(health.within)}`;
    });
    return checks.length > 0 ? `${sentenceList(checks)}.` : undefined;
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  leaves: 'service resumed',
  run: (at, on: OnDatabase) => resumed(at, on),
  without: () => ({ summary: 'Lifeboat did not resume it', verified: false }),
});

/** Opens the database, starts its services, and asks them from outside. */
export async function resumed(
  at: At,
  { database, host }: OnDatabase,
): Promise<{ summary: string; verified: boolean; since?: Record<string, string> }> {
  const opened = await at.on(host, 'change').openDatabase({ database });
  at.warn(...opened.warnings);
  const started = await startServices(at);
  const health = await at.control('look').checkHealth({ services: serviceNames(at) });
  return {
    summary: [opened.summary, ...started, health.summary].join('; '),
    verified: true,
    ...(health.since ? { since: health.since } : {}),
  };
}

/** The same at an end of the incident, where nothing waits for it. Returns what is to be said. */
export const resumeEverything = (at: At, on: OnDatabase): Promise<string> =>
  at.orElse(
    async () => (await resumed(at, on)).summary,
    ({ message }) => `the service could not be resumed: open the database and start it by hand (${message})`,
  );

/** Opened and verified once by this incident: what does not run any more was not left so by a person. */
export const wasResumed = (at: At, { database }: OnDatabase): boolean =>
  at.component(database).measured.rtoSeconds !== null;
