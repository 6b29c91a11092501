import { scenario } from '../../../scenarios/scenario.js';
import { question, step } from '../../../steps/step.js';
import { stopWrites } from '../../../steps/database/stop-writes.js';
import { workflowOf } from '../../../workflows/scenario.js';

/**
 * Two scenarios that there are not, run by the workflows that there are: what a scenario of several components needs.
 * What they do is done by whatever activities are at hand.
 */

const lookAround = step({
  name: 'Look around',
  does: 'What there is, is found.',
  touches: 'nothing',
  host: ({ host }: { host: string }) => host,
  run: (at, { host }: { host: string }) => at.on(host, 'change').stopService({ service: 'everything' }),
});

interface Part {
  service: string;
  host: string;
}

const restorePart = step({
  name: 'Restore a part',
  does: 'One part of it is restored.',
  touches: 'production',
  host: ({ host }: Part) => host,
  leaves: 'writes stopped',
  run: (at, { service, host }: Part) => at.on(host, 'change').startService({ service }),
  without: () => ({ summary: 'not restored' }),
  settle: (_at, { host }, { recovered }) => Promise.resolve(recovered ? [] : [`what was begun on ${host} is stopped`]),
});

const goOn = question({
  name: 'Go on',
  does: 'A person looks at one part.',
  asks: (_at, { service }: Part) =>
    Promise.resolve({
      text: `Go on with ${service}?`,
      facts: [`${service} is there`],
      choices: [{ name: 'take-it', meaning: 'go on with it', needs: ['reason' as const] }],
    }),
});

const everything = [lookAround, restorePart, goOn] as const;

/** As many parts as the plan has services, side by side. */
export const severalParts = workflowOf(
  scenario<(typeof everything)[number]>({
    name: 'several-parts',
    title: 'Several parts at once',
    symptoms: [],
    options: [],
    steps: everything,
    async recover(incident) {
      const { primary: host, services } = incident.plan;
      await incident.do(lookAround, { host });
      await incident.each(
        services.map(({ name: service }) => ({ service, host })),
        ({ service }) => service,
        async (branch, part) => {
          await branch.do(restorePart, part);
          await branch.ask(goOn, part);
        },
      );
      incident.serves([incident.plan.database, ...services.map(({ name }) => name)], { verified: true });
    },
  }),
);

/** Goes over into the other one when it has looked around. */
export const firstLook = workflowOf(
  scenario<typeof lookAround>({
    name: 'first-look',
    title: 'A first look',
    symptoms: [],
    options: [],
    steps: [lookAround],
    async recover(incident) {
      await incident.do(lookAround, { host: incident.plan.primary });
      incident.escalate('several-parts');
    },
  }),
);

const failing = step({
  name: 'Look closer',
  does: 'It finds nothing.',
  touches: 'nothing',
  run: () => Promise.reject(new Error('there is nothing to see')),
});

/** Stops writes, and goes over into one that does not know that step. */
export const stopsFirst = workflowOf(
  scenario<typeof stopWrites>({
    name: 'stops-first',
    title: 'Writes are stopped first',
    symptoms: [],
    options: [],
    steps: [stopWrites],
    async recover(incident) {
      const { database, primary: host } = incident.plan;
      await incident.do(stopWrites, { database, host });
      incident.escalate('closer-look');
    },
  }),
);

export const closerLook = workflowOf(
  scenario<typeof failing>({
    name: 'closer-look',
    title: 'A closer look',
    symptoms: [],
    options: [],
    steps: [failing],
    async recover(incident) {
      await incident.do(failing, {});
    },
  }),
);
