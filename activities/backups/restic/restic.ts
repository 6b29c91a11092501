import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cancelled, progress } from '../../capability.js';
import type { FailureKind } from '../../../vocabulary/failure.js';
import { failure } from '../../errors.js';
import { withLocation } from '../../locations/open.js';
import { run, type RunResult } from '../../run.js';
import { anyCode, removeDeadLocks } from './locks.js';
import type { Repository } from './repository.js';

export interface ResticOptions {
  /** Its ledger: what the next agent ends, should ours be killed. Two of one name run one after the other. */
  ledger: string;
  /** Exit codes that are an answer. */
  accept?: number[];
  onLine?: (line: string) => void;
  /** Does without a lock: it only reads, and can bear that somebody writes. */
  unlocked?: boolean;
}

/** How long it waits for another host that prunes or checks. */
const patience = 20 * 60_000;

/**
 * Runs restic on a repository. Locks of dead processes are removed first; a living one is waited for. Throws Busy when
 * that takes too long, and what the location does: LocationUnreachable, LocationRefused, NotEnoughSpace; BackupDamaged
 * for a repository that cannot be opened with its password; CommandFailed.
 */
export async function restic(repository: Repository, args: string[], options: ResticOptions): Promise<RunResult> {
  const { context, location, env } = repository;
  const until = Date.now() + patience;
  for (;;) {
    if (!options.unlocked) await withLocation(context, location, (open) => removeDeadLocks(repository, open));
    const result = await run('restic', [...repository.args, ...(options.unlocked ? ['--no-lock'] : []), ...args], {
      env,
      accept: anyCode,
      ledger: { directory: join(context.state, 'running'), name: `restic-${location}-${options.ledger}` },
      ...(options.onLine ? { onLine: options.onLine } : {}),
      endAt: isLost,
    });
    if (result.code === 0 || options.accept?.includes(result.code)) {
      // The run above has ended what a killed agent left running, whose lock is dead only now.
      if (!options.unlocked) await withLocation(context, location, (open) => removeDeadLocks(repository, open));
      return result;
    }
    if (!isLocked(result) || Date.now() > until) throw explained(repository, args, result);
    progress({ what: `waiting for ${location}: ${lockedBy(result)}` });
    await pause(1000, undefined, { signal: cancelled() });
  }
}

/** A file of the repository is not there; restic would try for a quarter of an hour whether it comes back. */
const isLost = (line: string) =>
  /returned error, retrying after/.test(line) &&
  /no such file|does not exist|not exist|NoSuchKey|BlobNotFound|notExist/i.test(line);

/** 11 from restic 0.17 on; before, only its words say so. */
const isLocked = ({ code, lines }: RunResult) => code === 11 || lines.some((line) => line.includes('already locked'));
const lockedBy = ({ lines }: RunResult) =>
  /locked (?:exclusively )?by (.*?)(?: \(UID.*)?$/m.exec(lines.join('\n'))?.[1] ?? 'it is locked';

const meanings: [FailureKind, RegExp, string][] = [
  [
    'BackupDamaged',
    /returned error, retrying after .*(no such file|not exist|NoSuchKey|NotFound)/i,
    'Take another backup: lifeboat backup list',
  ],
  [
    'BackupDamaged',
    /wrong password|no key found|ciphertext verification failed/i,
    'Is the passphrase of the location the one that it was made with?',
  ],
  ['NotEnoughSpace', /no space left|quota exceeded|disk full/i, 'Make room there: lifeboat backup cleanup'],
  [
    'LocationRefused',
    /access ?denied|InvalidAccessKey|SignatureDoesNotMatch|NoSuchBucket|bucket .*not exist|AuthenticationFailed|AuthorizationFailure|permission denied|host key verification failed/i,
    'Check the credentials and the name in the plan: lifeboat doctor',
  ],
  [
    'LocationUnreachable',
    /dial tcp|connection (refused|reset)|i\/o timeout|timed out|no such host|unexpected EOF|connection lost|ssh command exited|unable to open config/i,
    'Is the location up, and reachable from this host? lifeboat doctor',
  ],
];

function explained({ location, context }: Repository, args: string[], result: RunResult) {
  // Of what it printed as JSON, only its words.
  const lines = result.lines.filter((line) => !/^\s*[[{]/.test(line));
  const said = lines.slice(-4).join(' | ').slice(0, 800);
  const what = `restic ${args.find((arg) => /^[a-z]+$/.test(arg)) ?? ''} at ${location}`;
  if (isLocked(result)) {
    return failure(
      'Busy',
      `${what}: the repository is locked by ${lockedBy(result)}`,
      'Wait until that has ended, then retry.',
    );
  }
  const [kind, , hint] =
    meanings.find(([, pattern]) => pattern.test(said)) ??
    (['CommandFailed', /./, 'Read what it said; then retry.'] as const);
  return failure(kind, `${what} on ${context.host} ended with code ${result.code}: ${said}`, hint, {
    code: result.code,
  });
}
