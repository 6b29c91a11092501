import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { Location } from '../locations/location.js';
import { withLocation } from '../locations/open.js';
import { within } from '../locations/transfer.js';
import { failure } from '../errors.js';
import type { Cluster } from '../postgres/cluster.js';
import { type Known, readKnown, writeKnown } from '../postgres/known-configuration.js';
import { decodersFor, encodedName, encrypterFor, putCoded } from './logical/coding.js';
import { locationsOf } from './engines.js';
import { componentPrefix, textOf } from './record.js';
import { withoutSecrets } from './without-secrets.js';

/**
 * How production was configured, kept beside each physical backup: the day on which its directory and the agent's own
 * notes are both gone, that is all that knows. Encrypted where the location is; where it is not, no secret stands in
 * it.
 */

const kept = (cluster: Cluster, label: string) =>
  `${componentPrefix(cluster.context.plan.system, 'physical', cluster.database)}${label}.known.json`;

/**
 * Keeps what the agent has seen last beside a backup. Nothing where it has seen nothing. Throws what the location
 * throws.
 */
export async function keepConfiguration(cluster: Cluster, label: string, location: string): Promise<void> {
  const known = await readKnown(cluster);
  if (!known) return;
  await withLocation(cluster.context, location, async (open) => {
    const encrypter = await encrypterFor(cluster.context, location);
    const body = Readable.from([JSON.stringify(encrypter ? known : withoutSecrets(known))]);
    const name = encodedName(kept(cluster, label), { compressed: false, encrypted: encrypter !== undefined });
    await putCoded(open, name, body, encrypter ? [encrypter] : []);
  });
}

/** It goes with its backup. */
export async function dropConfiguration(open: Location, cluster: Cluster, label: string): Promise<void> {
  for (const encrypted of [true, false])
    await open.remove(encodedName(kept(cluster, label), { compressed: false, encrypted }));
}

const owner = z.object({ uid: z.number().int().min(1), gid: z.number().int().min(0) });
const absolute = z
  .string()
  .regex(/^\/[^\0]*$/)
  .refine((path) => !path.split('/').includes('..'));
/** Anybody who can write at a location can write one. */
const shape = z.object({
  systemIdentifier: z.string().regex(/^\d+$/),
  version: z.string().regex(/^[\d.]+$/),
  dataDirectory: absolute,
  real: absolute,
  mount: absolute.optional(),
  owner: owner.loose().optional(),
  configuredAt: z.string(),
  files: z.record(
    absolute,
    z.object({
      text: z.string(),
      mode: z.number().int().min(0).max(0o777),
      owner: z.object({ uid: z.number().int(), gid: z.number().int() }).loose().optional(),
      link: z.string().optional(),
      secretsLeftOut: z.number().optional(),
    }),
  ),
});

const patience = 20_000;

/**
 * Where this agent has no notes of a database (its state is gone, too), brings those that were kept with its newest
 * backup. Returns why there are none, location by location; undefined when there are some.
 */
export async function recallConfiguration(cluster: Cluster): Promise<string | undefined> {
  if (cluster.scratchOnly || (await readKnown(cluster))) return undefined;
  const said: string[] = [];
  for (const location of cluster.plan.backups.physical ? locationsOf(cluster) : []) {
    const late = () =>
      failure('LocationUnreachable', `it did not answer within ${patience / 1000} s`, 'Look at the location.');
    try {
      const found = await within(
        patience,
        withLocation(cluster.context, location, (open) => newest(cluster, open)),
        late,
      );
      if (found) {
        await writeKnown(cluster, found);
        return undefined;
      }
      said.push(`no backup at ${location} has them beside it`);
    } catch (error) {
      said.push(`${location}: ${(error as Error).message}`);
    }
  }
  return said.join('; ') || 'the plan takes no physical backups of it';
}

async function newest(cluster: Cluster, open: Location): Promise<Known | undefined> {
  const prefix = componentPrefix(cluster.context.plan.system, 'physical', cluster.database);
  const names = (await open.list(prefix)).filter(({ name }) =>
    /^[^/]+\.known\.json(\.age)?$/.test(name.slice(prefix.length)),
  );
  names.sort((a, b) => b.modifiedAt - a.modifiedAt);
  let last: Error | undefined;
  for (const { name } of names) {
    try {
      const out = new PassThrough();
      const text = textOf(out);
      await pipeline([await open.get(name), ...(await decodersFor(cluster.context, open.name, name)), out]);
      const label = name.slice(prefix.length).replace(/\.known\.json(\.age)?$/, '');
      return { ...(shape.parse(JSON.parse(await text)) as Known), keptWith: `${label} at ${open.name}` };
    } catch (error) {
      last =
        error instanceof z.ZodError || error instanceof SyntaxError
          ? new Error(`${name} was changed`)
          : (error as Error);
    }
  }
  if (last) throw last;
  return undefined;
}
