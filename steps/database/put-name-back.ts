import { type OnDatabase, step } from '../step.js';
import { figuresOf } from './copy-figures.js';
import { leftBehind } from './put-aside.js';
import { setAsideDatabase } from './quarantine.js';

/** Only one database was put back: it has its old one again, in the same server. */
export const putNameBack = step({
  name: 'Put the old copy back',
  does: 'The database out of the copy is renamed aside, and the old one has its name again.',
  when: 'a person rolls back',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, on: OnDatabase) {
    const { host } = on;
    const { state } = at;
    const back = await at.on(host, 'change').putOneAway({ database: on.database });
    state.quarantine = [
      ...state.quarantine.filter(({ what }) => what !== setAsideDatabase),
      {
        host: back.host,
        path: back.aside,
        bytes: back.bytes,
        what: 'the database that was rolled back, renamed aside in the server',
      },
    ];
    const lost = leftBehind(
      state.placed,
      state.putAside!,
      await figuresOf(at, on, true),
      `the database ${back.aside} on ${host}`,
    );
    Object.assign(at.component(on.database), { lost, rows: [] });
    return { summary: back.summary };
  },
});
