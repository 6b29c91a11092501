import { problemOf } from './problems.js';
import { onControl, onHost } from './activities.js';
import type { HostFacts } from '../activities/doctor/host-facts.js';
import type { Check, DoctorInput, DoctorResult } from '../vocabulary/check.js';
import type { Problem } from '../vocabulary/question.js';

/**
 * Asks every host of the plan for everything that the plan promises of it. Whoever does not answer is a failed check.
 */
export async function doctor({ system, database, planDigest }: DoctorInput): Promise<DoctorResult> {
  const plan = await onControl(system, 'look', 'doctor').readPlan({ form: 'execute', database });
  const checks: Check[] = [digest('control worker', plan.planDigest, planDigest)];
  const bytes: Record<string, number> = {};
  const [answers, health, channels] = await Promise.all([
    Promise.all(plan.hosts.map((host) => ask(system, host))),
    askServices(system, plan.services),
    onControl(system, 'look', 'doctor').checkChannels({ form: 'rehearse' }),
  ]);
  for (const answer of answers) {
    const { host } = answer;
    if ('problem' in answer) {
      const { message, hint } = answer.problem;
      checks.push({ what: 'agent', host, result: 'fail', says: message, ...(hint ? { hint } : {}) });
      continue;
    }
    const { facts, asked, answered } = answer;
    checks.push(
      { ...digest('agent', facts.planDigest, planDigest), host },
      clock(host, asked, answered, facts.now),
      ...facts.checks,
    );
    Object.assign(bytes, facts.bytes);
  }
  return { checks: [...checks, health, ...channels.checks], bytes };
}

/** As they are now: nobody has just started them, as at the end of a recovery. */
const askServices = (system: string, services: { name: string }[]): Promise<Check> =>
  onControl(system, 'ask', 'doctor')
    .checkHealth({ form: 'execute', services: services.map(({ name }) => name), patience: 2 })
    .then(
      ({ summary }): Check => ({ what: 'services', result: 'pass', says: summary }),
      (error: unknown): Check => ({
        what: 'services',
        result: 'fail',
        says: problemOf(error).message,
        hint: 'Look at the log of the service.',
      }),
    );

type Answer = { host: string; asked: number; answered: number } & ({ facts: HostFacts } | { problem: Problem });

async function ask(system: string, host: string): Promise<Answer> {
  const asked = Date.now();
  try {
    const facts = await onHost(system, host, 'look', 'doctor').hostFacts({ form: 'execute' });
    return { host, asked, answered: Date.now(), facts };
  } catch (error) {
    return { host, asked, answered: Date.now(), problem: problemOf(error) };
  }
}

function digest(what: string, found: string, expected: string): Check {
  if (found === expected) return { what, result: 'pass', says: `answers, with the same plan (${found})` };
  return {
    what,
    result: 'fail',
    says: `answers, with another plan: ${found}, and yours is ${expected}`,
    hint: 'Copy the plan file there, and start it again.',
  };
}

/**
 * A host's answer must lie between the question and the answer, give or take a second; the control worker's clock is
 * the measure.
 */
function clock(host: string, asked: number, answered: number, now: string): Check {
  const skew = Math.max(asked - Date.parse(now), Date.parse(now) - answered, 0) / 1000;
  if (skew <= 1) return { what: 'clock', host, result: 'pass', says: 'within a second' };
  const result = skew > 10 ? 'fail' : 'warn';
  return {
    what: 'clock',
    host,
    result,
    says: `differs by ${Math.round(skew)} s`,
    hint: 'Set up NTP there: target times and the RPO are read from clocks.',
  };
}
