import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type HostContext } from '../../context.js';
import { failure } from '../../errors.js';
import { run, type RunResult } from '../../run.js';

/** Driving git. It asks nobody for a password, and reads repositories of other users, which the plan names. */
export async function git(
  context: HostContext,
  args: string[],
  { ledger, accept }: { ledger?: string; accept?: number[] } = {},
): Promise<RunResult> {
  const result = await run('git', args, {
    env: {
      GIT_TERMINAL_PROMPT: '0',
      GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15',
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      // A gc in the background would outlive us.
      GIT_CONFIG_KEY_1: 'gc.autoDetach',
      GIT_CONFIG_VALUE_1: 'false',
      ...(process.env['SSH_AUTH_SOCK'] ? { SSH_AUTH_SOCK: process.env['SSH_AUTH_SOCK'] } : {}),
    },
    accept: Array.from({ length: 255 }, (_, code) => code + 1),
    ...(ledger ? { ledger: { directory: join(context.state, 'running'), name: `git-${ledger}` } } : {}),
  });
  if (result.code === 0 || accept?.includes(result.code)) return result;
  // An address may hold a password.
  const said = result.lines
    .slice(-4)
    .join(' | ')
    .replace(/\/\/[^/@\s]+@/g, '//***@')
    .slice(0, 600);
  const verb = args.find((arg) => /^[a-z][a-z-]+$/.test(arg)) ?? '';
  throw failure(
    'CommandFailed',
    `git ${verb} on ${context.host} ended with code ${result.code}: ${said}`,
    'Read what it said; then retry.',
    {
      code: result.code,
    },
  );
}

/**
 * The digest of what branches and tags a repository has and where they point to: lines `object name`, as for-each-ref
 * and list-heads give them.
 */
export function refsDigest(lines: string[]): { refs: number; sha256: string } {
  const refs = lines.filter((line) => / refs\//.test(line)).sort();
  return { refs: refs.length, sha256: createHash('sha256').update(refs.join('\n')).digest('hex') };
}

export async function refsOf(context: HostContext, repository: string): Promise<{ refs: number; sha256: string }> {
  const { stdout } = await git(context, ['-C', repository, 'for-each-ref', '--format=%(objectname) %(refname)']);
  return refsDigest(stdout.split('\n'));
}
