import { type OnDatabase, step } from '../step.js';
import { figuresOf } from './copy-figures.js';
import { leftBehind } from './put-aside.js';
import { damagedDirectory } from './quarantine.js';

/** What was in place meanwhile is kept aside. */
export const putCopyBack = step({
  name: 'Put the old copy back',
  does: 'The restored data directory is renamed aside, and the quarantined one is put in its place again.',
  when: 'a person rolls back',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, on: OnDatabase) {
    const { host } = on;
    const { state } = at;
    const back = await at.on(host, 'change').putBack({ database: on.database });
    state.quarantine = [
      ...state.quarantine.filter((one) => one.host !== host || one.what !== damagedDirectory),
      { host, path: back.quarantine, bytes: back.bytes, what: 'the restored copy that was rolled back' },
    ];
    state.canRollBack = false;
    const lost = leftBehind(
      state.placed,
      state.putAside!,
      await figuresOf(at, on, true),
      `${back.quarantine} on ${host}`,
    );
    // The rows were of the copy that is put aside.
    Object.assign(at.component(on.database), { lost, rows: [] });
    at.warn('the standbys followed the restored copy: rebuild them when you know which copy stays');
    return { summary: back.summary };
  },
});
