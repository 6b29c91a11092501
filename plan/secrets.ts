import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { databaseHosts, locationsUsedOn } from './access.js';
import type { z } from 'zod';
import { type Plan, planSchema } from './schema.js';
import { showPath } from './show.js';
import { secretParts } from './values.js';

/**
 * Secrets by reference: `env:NAME`, `file:PATH`. They are read on the host that needs them, when it needs them, and
 * travel nowhere.
 */

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
 * Reads what a reference points to. `directory`: that of the plan file; `file:` paths are relative to it. Line ends at
 * the end of a file are cut off. Throws {@link SecretError} when it is unset, missing, unreadable or empty.
 */
export async function resolveSecret(reference: string, directory: string): Promise<string> {
  const [, kind, rest] = /^(env|file):(.+)$/s.exec(reference) ?? [];
  if (kind === 'env' && rest) return fromEnvironment(reference, rest);
  if (kind === 'file' && rest) return fromFile(reference, resolve(directory, rest));
  // The text is not repeated: it may be the secret itself.
  throw new SecretError(
    'what should be a reference to a secret is none',
    '(hidden)',
    'Write env:NAME or file:PATH in the plan',
  );
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

/**
 * Every reference to a secret in the plan, in the order of its schema: whatever the schema says to be one, none can be
 * forgotten.
 */
export const allSecretReferences = (plan: Plan): SecretReference[] => {
  const found = secretsIn(planSchema, plan, []);
  return found.filter(({ usedBy }, index) => found.findIndex((one) => one.usedBy === usedBy) === index);
};

/** Of a value that the schema has read, and of what lies in it. */
function secretsIn(schema: z.core.$ZodType, value: unknown, path: readonly (string | number)[]): SecretReference[] {
  if (typeof value === 'string')
    return secretParts.get(schema) || holdsSecret(schema) ? [{ reference: value, usedBy: showPath(path) }] : [];
  if (typeof value !== 'object' || value === null) return [];
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const entries = Object.entries(value);
  switch (def.type) {
    case 'object':
      return Object.entries(def.shape).flatMap(([key, part]) =>
        secretsIn(part, (value as Record<string, unknown>)[key], [...path, key]),
      );
    case 'record':
      return entries.flatMap(([key, part]) => secretsIn(def.valueType, part, [...path, key]));
    case 'array':
      return (value as unknown[]).flatMap((part, at) => secretsIn(def.element, part, [...path, at]));
    default:
      return within(schema).flatMap((inner) => secretsIn(inner, value, path));
  }
}

const holdsSecret = (schema: z.core.$ZodType): boolean =>
  within(schema).some((inner) => secretParts.get(inner) || holdsSecret(inner));

/** What a schema is made of that has no parts of its own: the inside of an optional one, the ways of a union. */
function within(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'union') return [...def.options];
  if (def.type === 'pipe') return [def.in, def.out];
  return 'innerType' in def ? [def.innerType] : [];
}

/**
 * Those that the agent of a host needs: of the databases and Redis servers on it, and of the locations that it backs up
 * to or restores from. Those of the notifications are the control worker's.
 */
export function secretsOn(plan: Plan, host: string): SecretReference[] {
  const locations = new Set(locationsUsedOn(plan, host).map((name) => `locations.${name}.`));
  // Managed ones too: the host that the plan names is the one that dumps them.
  const databases = Object.keys(plan.databases).flatMap((name) =>
    databaseHosts(plan, name).includes(host) ? [`databases.${name}.`] : [],
  );
  const redis = Object.keys(plan.redis).flatMap((name) => (plan.redis[name]?.host === host ? [`redis.${name}.`] : []));
  const mine = [...locations, ...databases, ...redis];
  return allSecretReferences(plan).filter(({ usedBy }) => mine.some((prefix) => usedBy.startsWith(prefix)));
}
