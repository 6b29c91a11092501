import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { databaseHosts, locationsUsedOn } from './access.js';
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
  for (const [name, { s3, azure, gcs, sftp, encryption }] of Object.entries(plan.locations)) {
    add(`locations.${name}.s3.accessKeyId`, s3?.accessKeyId);
    add(`locations.${name}.s3.secretAccessKey`, s3?.secretAccessKey);
    add(`locations.${name}.azure.key`, azure?.key);
    add(`locations.${name}.gcs.credentials`, gcs?.credentials);
    add(`locations.${name}.sftp.privateKey`, sftp?.privateKey);
    add(`locations.${name}.encryption`, encryption);
  }
  for (const [name, { postgres }] of Object.entries(plan.databases)) {
    add(`databases.${name}.postgres.url`, postgres.url);
    add(`databases.${name}.postgres.password`, postgres.password);
    add(`databases.${name}.postgres.replication.password`, postgres.replication?.password);
  }
  for (const [name, { password }] of Object.entries(plan.redis)) add(`redis.${name}.password`, password);
  const { slack, email, pagerduty } = plan.notifications;
  add('notifications.slack.token', slack?.token);
  add('notifications.email.password', email?.password);
  add('notifications.pagerduty.routingKey', pagerduty?.routingKey);
  return found;
}

/**
 * Those that the agent of a host needs: of the databases and Redis servers on it, and of the locations that it backs up to or restores
 * from. Those of the notifications are the control worker's.
 */
export function secretsOn(plan: Plan, host: string): SecretReference[] {
  const locations = new Set(locationsUsedOn(plan, host).map((name) => `locations.${name}.`));
  // Managed ones too: the host that the plan names is the one that dumps them.
  const databases = Object.keys(plan.databases).flatMap((name) => (databaseHosts(plan, name).includes(host) ? [`databases.${name}.`] : []));
  const redis = Object.keys(plan.redis).flatMap((name) => (plan.redis[name]?.host === host ? [`redis.${name}.`] : []));
  const mine = [...locations, ...databases, ...redis];
  return allSecretReferences(plan).filter(({ usedBy }) => mine.some((prefix) => usedBy.startsWith(prefix)));
}
