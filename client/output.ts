import { exitCodes } from './exit-codes.js';

/** What the CLI prints, and with which code it ends. */

export { exitCodes };

/** An error that was to be expected: said in words, with what to do next, and without a stack. */
export class Expected extends Error {
  constructor(
    message: string,
    readonly hint: string,
    readonly code: number = exitCodes.badInput,
  ) {
    super(message);
    this.name = 'Expected';
  }
}

export function printLine(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Says what went wrong and what to type next, and sets the exit code. */
export async function fail(error: unknown, json: boolean): Promise<void> {
  const { message, hint, code, problems } = await explain(error);
  process.exitCode = code;
  if (json) printJson({ error: message, hint: hint ?? null, code, ...(problems ? { problems } : {}) });
  else process.stderr.write(`${message}\n${hint ? `→ ${hint}\n` : ''}`);
}

interface Explained {
  message: string;
  hint?: string;
  code: number;
  problems?: unknown[];
}

/** What went wrong, in words. */
export async function explain(error: unknown): Promise<Explained> {
  if (error instanceof Expected) return { message: error.message, hint: error.hint, code: error.code };
  const named = error as Error & { problems?: unknown[]; hint?: string };
  // Of a worker that does not start; it knows nothing of the CLI.
  if (named.name === 'CannotStart')
    return { message: named.message, ...(named.hint ? { hint: named.hint } : {}), code: exitCodes.badInput };
  if (named.name === 'PlanError') {
    const { formatProblems, PlanError } = await import('../plan/load.js');
    if (error instanceof PlanError)
      return { message: formatProblems(error).trimEnd(), code: exitCodes.badInput, problems: error.problems };
  }
  if (named.name === 'TargetError')
    return { message: named.message, ...(named.hint ? { hint: named.hint } : {}), code: exitCodes.badInput };
  const { explainTemporal } = await import('./explain-temporal.js');
  const known = explainTemporal(error);
  if (known) return known;
  return {
    message: `A fault of Lifeboat: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    hint: 'What runs already goes on without this command. An incident: lifeboat watch. Backups: lifeboat backup list',
    code: exitCodes.fault,
  };
}
