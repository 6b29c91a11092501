import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Plan } from './schema.js';

/** Secrets by reference: `env:NAME`, `file:PATH`. They are read on the host that needs them, when it needs them, and travel nowhere. */

/** A secret cannot be read on this host. Neither message nor hint holds any of it. */
export class SecretError extends Error {
  constructor(
    message: string,
    readonly reference: string,
    /** What to do about it. */
    readonly hint: string,
  ) {
    super(message);
    this.name = 'SecretError';
  }
}

/**
 * Reads what a reference points to. `directory`: that of the plan file; `file:` paths are relative to it. Line ends at the end of
 * a file are cut off. Throws {@link SecretError} when it is unset, missing, unreadable or empty.
 */
export async function resolveSecret(reference: string, directory: string): Promise<string> {
  const [, kind, rest] = /^(env|file):(.+)$/s.exec(reference) ?? [];
  if (kind === 'env' && rest) return fromEnvironment(reference, rest);
  if (kind === 'file' && rest) return fromFile(reference, resolve(directory, rest));
  // The text is not repeated: it may be the secret itself.
  throw new SecretError('what should be a reference to a secret is none', '(hidden)', 'Write env:NAME or file:PATH in the plan');
}

function fromEnvironment(reference: string, variable: string): string {
  const value = process.env[variable];
  if (!value) {
    const state = value === undefined ? 'is not set' : 'is empty';
    throw new SecretError(
      `the environment variable ${variable} ${state}, and the plan refers to it as ${reference}`,
      reference,
      `Set it where Lifeboat is started on this host: export ${variable}=...`,
    );
  }
  return value;
}

async function fromFile(reference: string, path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const state =
      code === 'ENOENT'
        ? 'does not exist'
        : code === 'EISDIR'
          ? 'is a directory'
          : code === 'EACCES'
            ? 'may not be read by this user'
            : `cannot be read (${code ?? 'unknown error'})`;
    throw new SecretError(
      `${path} ${state}, and the plan refers to it as ${reference}`,
      reference,
      `Put the secret into ${path} on this host, readable by the user that Lifeboat runs as`,
    );
  }
  const value = text.replace(/[\r\n]+$/, '');
  if (!value)
    throw new SecretError(
      `${path} is empty, and the plan refers to it as ${reference}`,
      reference,
      `Put the secret into ${path} on this host`,
    );
  return value;
}

export interface SecretReference {
  reference: string;
  /** Where in the plan: `databases.main.postgres.password`. */
  usedBy: string;
}

/** Every reference to a secret in the plan, in its order. */
export function allSecretReferences(plan: Plan): SecretReference[] {
  const found: SecretReference[] = [];
  const add = (usedBy: string, reference: string | undefined): void => {
    if (reference !== undefined) found.push({ reference, usedBy });
  };
  for (const [name, location] of Object.entries(plan.locations)) add(`locations.${name}.encryption`, location.encryption);
  for (const [name, { postgres }] of Object.entries(plan.databases)) {
    add(`databases.${name}.postgres.password`, postgres.password);
    add(`databases.${name}.postgres.replication.password`, postgres.replication?.password);
  }
  const { slack, email, pagerduty } = plan.notifications;
  add('notifications.slack.token', slack?.token);
  add('notifications.email.password', email?.password);
  add('notifications.pagerduty.routingKey', pagerduty?.routingKey);
  return found;
}
