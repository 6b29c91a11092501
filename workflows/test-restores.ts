import { ApplicationFailure, isCancellation, workflowInfo } from '@temporalio/workflow';
import type { BackupKind, BackupRecord } from '../vocabulary/backup.js';
import type { ComponentFacts } from '../activities/read-component.js';
import { onControl, onHost } from './activities.js';
import type { TestedResult, TestInput, TestRestoreResult } from '../vocabulary/backup-work.js';
import { problemOf } from './problems.js';
import { raise, resolve } from './shared/alert.js';
import { isFailureOf } from '../steps/failure.js';

/** A backup is known to restore when it was restored. */

/**
 * Weekly: the newest backup of each kind is restored to scratch and verified there; when it does not hold, which one
 * does is found out.
 */
export const backupVerification = (input: TestInput): Promise<TestedResult> =>
  tested(input, {
    name: 'verification',
    host: ({ verificationHost }) => verificationHost,
    order: (backups) => backups,
  });

/** Monthly: a whole restore to staging, from the location whose last one is the longest ago. */
export const restoreTest = (input: TestInput): Promise<TestedResult> =>
  tested(input, { name: 'restore-test', host: ({ restoreTestHost }) => restoreTestHost, order: inTurn });

interface Test {
  name: string;
  host: (facts: ComponentFacts) => string | undefined;
  /** Which are tried, the first one first. */
  order: (backups: BackupRecord[], locations: string[]) => BackupRecord[];
}

/** More would take days. */
const mostTries = 4;

async function tested({ system, component }: TestInput, test: Test): Promise<TestedResult> {
  const what = `${test.name} of ${component}`;
  const kinds = await kindsOf(system, component, what);
  const tests: TestRestoreResult[] = [];
  const failed: string[] = [];
  for (const kind of kinds) {
    const key = `${test.name}/${kind}/${component}`;
    const found = await testKind(system, component, kind, test, what);
    failed.push(...found.failed);
    if (found.holds) tests.push(found.holds);
    if (found.failed.length === 0 && found.holds) await resolve(system, key, found.holds.summary);
    else {
      await raise(system, {
        key,
        severity: 'critical',
        title: found.holds
          ? `the newest ${kind} backup of ${component} does not restore`
          : `NO ${kind} backup of ${component} restores`,
        text: [
          ...found.failed,
          found.holds ? `but this one does: ${found.holds.summary}` : 'take a new one at once: lifeboat backup create',
        ].join('; '),
      });
    }
  }
  const summary = [...tests.map((one) => one.summary), ...failed.map((why) => `NOT: ${why}`)].join('; ');
  if (tests.length < kinds.length) {
    throw ApplicationFailure.create({
      type: 'VerificationFailed',
      nonRetryable: true,
      message: summary || `there is no backup of ${component} to restore`,
      details: [{ hint: 'Take a new one: lifeboat backup create; see what there is: lifeboat backup list' }],
    });
  }
  return { summary, tests, failed };
}

/** The kinds of backup that the plan has of a database. */
async function kindsOf(system: string, component: string, what: string): Promise<BackupKind[]> {
  const ask = (kind: BackupKind) => onControl(system, 'look', what).readComponent({ form: 'execute', kind, component });
  return (
    await ask('physical').catch((error: unknown) =>
      isFailureOf(error, 'BadRequest') ? ask('logical') : Promise.reject(error as Error),
    )
  ).kinds;
}

async function testKind(
  system: string,
  component: string,
  kind: BackupKind,
  test: Test,
  what: string,
): Promise<{ holds?: TestRestoreResult; failed: string[] }> {
  const facts = await onControl(system, 'look', what).readComponent({ form: 'execute', kind, component });
  const host = test.host(facts);
  if (!host) return { failed: [`the plan names no host for the ${test.name} of ${component}`] };
  const agent = onHost(system, host, 'long', what);
  const { backups, unreadable } = await agent.listBackups({ form: 'execute', kind, component });
  const failed = Object.entries(unreadable).map(
    ([location, why]) => `location ${location} cannot be read from ${host}: ${why}`,
  );
  const sound = backups.filter(({ damaged }) => !damaged);
  if (sound.length === 0) failed.push(`there is no sound ${kind} backup of ${component}`);
  for (const { id, location } of test.order(sound, facts.locations).slice(0, mostTries)) {
    try {
      const holds = await agent.testRestore({
        form: 'execute',
        kind,
        component,
        id,
        location,
        run: workflowInfo().runId,
      });
      failed.push(...holds.doubts.map((doubt) => `${id} at ${location}: ${doubt}`));
      return { holds, failed };
    } catch (error) {
      if (isCancellation(error)) throw error;
      failed.push(`${id} at ${location}: ${problemOf(error).message}`);
      // No room, no program: the next backup would not fare better, and says nothing about this one.
      if (!isFailureOf(error, 'BackupDamaged', 'VerificationFailed', 'LocationUnreachable', 'LocationRefused')) break;
    }
  }
  return { failed };
}

/** The newest of each location; first of the location from which none was restored yet, or the longest ago. */
function inTurn(backups: BackupRecord[], locations: string[]): BackupRecord[] {
  const last = (location: string) =>
    backups.reduce(
      (latest, one) => (one.location === location && (one.restored?.at ?? '') > latest ? one.restored!.at : latest),
      '',
    );
  return [...locations]
    .sort((a, b) => last(a).localeCompare(last(b)) || locations.indexOf(a) - locations.indexOf(b))
    .flatMap((location) => backups.find((one) => one.location === location) ?? []);
}
