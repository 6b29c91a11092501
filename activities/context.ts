import { chmod, mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Plan } from '../plan/schema.js';
import { resolveSecret } from '../plan/secrets.js';
import { failure } from './errors.js';

/** What every capability of a host works with: this host's own copy of the plan, and where it keeps its own files. */
export interface HostContext {
  plan: Plan;
  planDirectory: string;
  planDigest: string;
  host: string;
  /** Evidence, generated configuration, known row counts, ledgers of running programs. Never in a data directory. */
  state: string;
}

/** `$LIFEBOAT_STATE_DIR`, else /var/lib/lifeboat for root, else ~/.local/state/lifeboat. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env['LIFEBOAT_STATE_DIR']) return env['LIFEBOAT_STATE_DIR'];
  if (process.getuid?.() === 0) return '/var/lib/lifeboat';
  return join(env['XDG_STATE_HOME'] ?? join(homedir(), '.local/state'), 'lifeboat');
}

export async function hostState(system: string, host: string): Promise<string> {
  const directory = join(stateRoot(), system, host);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  // The owner of the data, who need not be ourselves, reads and makes files in it; it may have been made under another
  // umask.
  for (const path of process.getuid?.() === 0 ? [stateRoot(), join(stateRoot(), system), directory] : []) {
    const { mode } = await stat(path);
    if ((mode & 0o011) !== 0o011) await chmod(path, (mode & 0o7777) | 0o011);
  }
  return directory;
}

/** The value behind a reference of the plan. Throws SecretMissing, which names the reference and never a value. */
export async function secretOf(context: { planDirectory: string; host?: string }, reference: string): Promise<string> {
  try {
    return await resolveSecret(reference, context.planDirectory);
  } catch (error) {
    throw failure(
      'SecretMissing',
      (error as Error).message,
      `Give ${context.host === undefined ? 'the control worker' : `the agent of ${context.host}`} what ${reference} refers to, and start it again.`,
    );
  }
}

/** What the control worker works with. */
export interface ControlContext {
  plan: Plan;
  planDirectory: string;
  planDigest: string;
  /** Where reports are kept. */
  state: string;
  /** The address of Temporal's own UI, when it is known. */
  temporalUi?: string;
}
