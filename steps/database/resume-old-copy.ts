import { resumed } from '../services/resume-service.js';
import { type OnDatabase, step } from '../step.js';

export const resumeOldCopy = step({
  name: 'Resume on the old copy',
  does: 'The database is opened, the services are started, and their health is verified from outside.',
  when: 'a person rolls back',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  leaves: 'service resumed',
  run: (at, on: OnDatabase) => resumed(at, on),
  without: () => ({ summary: 'resumed by hand', verified: false }),
});
