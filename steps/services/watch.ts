import { servicesOf } from '../../plan/access.js';
import { plain } from '../../plan/markdown.js';
import { planDuration, sentenceList } from '../../plan/words.js';
import { type OnDatabase, step } from '../step.js';
import { resumed, wasResumed } from './resume-service.js';
import { serviceNames } from './services.js';

export const watch = step({
  name: 'Watch',
  does: 'The services are watched from outside for the time that the plan says, and the database is: that it answers and takes writes.',
  here(plan, database) {
    const times = servicesOf(plan, database).map(
      (name) => `${plain(name)} for ${planDuration(plan.services[name]!.watch)}`,
    );
    return times.length > 0 ? `${sentenceList(times)}.` : undefined;
  },
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, on: OnDatabase) {
    const { database, host } = on;
    const services = serviceNames(at);
    const look = (once: boolean) => at.on(host, once ? 'look' : 'long').watchDatabase({ database, services, once });
    // Watched again after something was down, what does not run is started first: nothing else would.
    const started = at.attempt > 1 && wasResumed(at, on) ? [(await resumed(at, on)).summary] : [];
    try {
      const watched = await at.together(
        () => at.control('long').watchServices({ services }),
        () => look(false),
      );
      return { summary: [...started, ...watched.map(({ summary }) => summary)].join('; ') };
    } catch (error) {
      if (at.isEnding(error)) throw error;
      // A service that is ill because its database is down: that is the one to say.
      await look(true);
      throw error;
    }
  },
  without: () => ({ summary: 'not watched' }),
});
