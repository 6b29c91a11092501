import { type HostContext, secretOf } from '../context.js';
import { failure } from '../errors.js';
import type { LocationPlan } from '../../plan/schema.js';
import type { Location } from './location.js';
import { defaultLimits, type Limits } from './transfer.js';

interface Asked {
  name: string;
  plan: LocationPlan;
  /** The value behind a reference of the plan. */
  secret: (reference: string) => Promise<string>;
  limits: Limits;
}

/**
 * One line for each kind. A vendor's client is loaded when a plan uses it: an agent that has only directories does not
 * pay for the others.
 */
const kinds: { [Kind in 'directory' | 's3' | 'azure' | 'gcs' | 'sftp']: (asked: Asked) => Promise<Location> } = {
  directory: async ({ name, plan, limits }) =>
    (await import('./directory.js')).directoryLocation(name, plan.directory!, limits),
  s3: async ({ name, plan: { s3 }, secret, limits }) => {
    const { accessKeyId, secretAccessKey } = s3!;
    const keys =
      accessKeyId && secretAccessKey
        ? { accessKeyId: await secret(accessKeyId), secretAccessKey: await secret(secretAccessKey) }
        : undefined;
    return (await import('./s3.js')).s3Location(name, s3!, keys, limits);
  },
  azure: async ({ name, plan: { azure }, secret, limits }) =>
    (await import('./azure.js')).azureLocation(name, azure!, await secret(azure!.key), limits),
  gcs: async ({ name, plan: { gcs }, secret, limits }) =>
    (await import('./gcs.js')).gcsLocation(name, gcs!, gcs!.credentials && (await secret(gcs!.credentials)), limits),
  sftp: async ({ name, plan: { sftp }, secret, limits }) =>
    (await import('./sftp.js')).sftpLocation(name, sftp!, await secret(sftp!.privateKey), limits),
};

/**
 * A location of the plan, ready to be used by this host; close it afterwards, or use `withLocation`. Connects to
 * nothing yet. Throws BadRequest for a name that the plan does not have, SecretMissing.
 */
export async function openLocation(context: HostContext, name: string, limits = defaultLimits): Promise<Location> {
  const plan = context.plan.locations[name];
  if (!plan) {
    throw failure(
      'BadRequest',
      `the plan of ${context.host} has no location ${name}`,
      `It has: ${Object.keys(context.plan.locations).join(', ')}. Give every host the same plan file.`,
    );
  }
  const kind = (Object.keys(kinds) as (keyof typeof kinds)[]).find((one) => plan[one] !== undefined);
  if (!kind)
    throw failure(
      'BadRequest',
      `location ${name} is of no kind that Lifeboat knows`,
      'Correct the plan: `lifeboat check`.',
    );
  return kinds[kind]({ name, plan, limits, secret: (reference) => secretOf(context, reference) });
}

/** Opens a location, works with it, and closes it whatever happens. */
export async function withLocation<T>(
  context: HostContext,
  name: string,
  work: (location: Location) => Promise<T>,
): Promise<T> {
  const location = await openLocation(context, name);
  try {
    return await work(location);
  } finally {
    await location.close();
  }
}
