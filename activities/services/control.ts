import type { Control, ServicePlan } from '../../plan/schema.js';
import type { Capability } from '../capability.js';
import type { HostContext } from '../context.js';
import { failure } from '../errors.js';
import { run } from '../run.js';

export interface ServiceInput {
  service: string;
}

/** How a service is started and stopped: by systemd, or by the commands that the plan on this host names. */
interface Controller {
  isRunning(): Promise<boolean>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const systemd = (unit: string, ledger: { directory: string; name: string }): Controller => ({
  isRunning: async () => (await run('systemctl', ['is-active', '--quiet', unit], { accept: [1, 2, 3, 4] })).code === 0,
  start: async () =>
    void (await run('systemctl', ['start', unit], { ledger: { ...ledger, name: `${ledger.name}-start` } })),
  stop: async () =>
    void (await run('systemctl', ['stop', unit], { ledger: { ...ledger, name: `${ledger.name}-stop` } })),
});

const commands = (
  control: Extract<Control, { start: string[] }>,
  ledger: { directory: string; name: string },
): Controller => {
  const call = (argv: string[], name: string, accept: number[] = []) =>
    run(argv[0]!, argv.slice(1), {
      private: true,
      accept,
      env: commandEnvironment(),
      timeout: 120_000,
      ...(name ? { ledger: { ...ledger, name: `${ledger.name}-${name}` } } : {}),
    });
  return {
    isRunning: async () =>
      (
        await call(
          control.status,
          '',
          Array.from({ length: 255 }, (_, code) => code + 1),
        )
      ).code === 0,
    start: async () => void (await call(control.start, 'start')),
    stop: async () => void (await call(control.stop, 'stop')),
  };
};

/** The plan author's own commands get the agent's environment, as they would from its service manager. */
function commandEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function serviceOf(context: HostContext, name: string): { plan: ServicePlan; controller: Controller } {
  const plan = context.plan.services[name];
  if (!plan?.hosts.includes(context.host)) {
    throw failure(
      'BadRequest',
      `service ${name} is not on host ${context.host}`,
      'Is the plan of this host the current one? Compare: lifeboat doctor',
    );
  }
  const ledger = { directory: `${context.state}/running`, name: `service-${name}` };
  const controller = 'systemd' in plan.control ? systemd(plan.control.systemd, ledger) : commands(plan.control, ledger);
  return { plan, controller };
}

export const stopService = (
  context: HostContext,
): Capability<ServiceInput, { summary: string; wasRunning: boolean }> => ({
  async rehearse({ service }) {
    const running = await serviceOf(context, service).controller.isRunning();
    return { summary: `${service} ${running ? 'runs, and could be stopped' : 'does not run'}`, wasRunning: running };
  },
  async execute({ service }) {
    const { controller } = serviceOf(context, service);
    const wasRunning = await controller.isRunning();
    if (wasRunning) await controller.stop();
    if (await controller.isRunning()) {
      throw failure(
        'ServiceFailed',
        `${service} on ${context.host} still runs after it was stopped`,
        'Stop it by hand on its host, then: lifeboat decide retry',
      );
    }
    return { summary: wasRunning ? `${service} stopped` : `${service} was stopped`, wasRunning };
  },
});

export const startService = (context: HostContext): Capability<ServiceInput, { summary: string }> => ({
  async rehearse({ service }) {
    await serviceOf(context, service).controller.isRunning();
    return { summary: `${service} could be started` };
  },
  async execute({ service }) {
    const { controller } = serviceOf(context, service);
    if (!(await controller.isRunning())) await controller.start();
    if (!(await controller.isRunning())) {
      throw failure(
        'ServiceFailed',
        `${service} on ${context.host} does not run after it was started`,
        'Look at its log on the host, start it by hand, then: lifeboat decide retry',
      );
    }
    return { summary: `${service} runs` };
  },
});
