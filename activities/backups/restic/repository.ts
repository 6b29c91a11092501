import { join } from 'node:path';
import type { LocationPlan } from '../../../plan/schema.js';
import { type HostContext, secretOf } from '../../context.js';
import { failure } from '../../errors.js';
import { writeWhole } from '../../files.js';
import { run } from '../../run.js';

/**
 * The restic repository at a location: one for all files and Redis servers of a system, below `restic` there, so that
 * what hosts have in common is kept once. Source: restic.readthedocs.io, "Preparing a new repository", and `restic
 * options`. Every secret goes by environment or by a file of mode 600 in the agent's own state.
 */
export interface Repository {
  context: HostContext;
  location: string;
  /** What goes before the command: where it is, and how it is reached. */
  args: string[];
  env: Record<string, string>;
  /** Where restic keeps what it has read of this repository, and our own notes on it. */
  home: string;
}

/** Names of the repository's own files, relative to the location (restic's design document, "Repository layout"). */
export const inRepository = (name: string): string => `restic/${name}`;

/**
 * restic encrypts always. A location without `encryption` has this password, so that anybody who has the plan or this
 * line can read it; its records say `encryption: none`.
 */
const openPassword = 'lifeboat';

/**
 * How restic reaches the repository of a location from this host. Throws SecretMissing, and BadRequest for what this
 * restic cannot reach.
 */
export async function repositoryOf(context: HostContext, location: string): Promise<Repository> {
  const plan = context.plan.locations[location];
  if (!plan) throw failure('BadRequest', `the plan has no location ${location}`, 'Give every host the same plan file.');
  const home = join(context.state, 'restic', location);
  const way = await wayTo(context, location, plan, home);
  const caFile = (plan.s3 ?? plan.azure ?? plan.gcs)?.caFile;
  return {
    context,
    location,
    home,
    args: [`--cache-dir=${join(home, 'cache')}`, ...(caFile ? [`--cacert=${caFile}`] : []), ...(way.args ?? [])],
    env: {
      // A line of progress a second; without it a program whose output is no terminal is silent.
      RESTIC_PROGRESS_FPS: '1',
      ...(process.env['TMPDIR'] ? { TMPDIR: process.env['TMPDIR'] } : {}),
      ...way.env,
      RESTIC_REPOSITORY: way.url,
      RESTIC_PASSWORD: plan.encryption ? await secretOf(context, plan.encryption) : openPassword,
    },
  };
}

interface Way {
  url: string;
  args?: string[];
  env?: Record<string, string>;
}

async function wayTo(context: HostContext, location: string, plan: LocationPlan, home: string): Promise<Way> {
  if (plan.s3) return toS3(context, plan.s3);
  if (plan.azure) return toAzure(context, location, plan.azure);
  if (plan.gcs) return toGcs(context, location, plan.gcs, home);
  if (plan.sftp) return toSftp(context, plan.sftp, home);
  return { url: join(plan.directory!, 'restic') };
}

const below = (prefix: string | undefined) => (prefix ? `${prefix}/restic` : 'restic');

async function toS3(context: HostContext, s3: NonNullable<LocationPlan['s3']>): Promise<Way> {
  const endpoint = (s3.endpoint ?? `https://s3.${s3.region}.amazonaws.com`).replace(/\/+$/, '');
  const env: Record<string, string> =
    s3.accessKeyId && s3.secretAccessKey
      ? {
          AWS_ACCESS_KEY_ID: await secretOf(context, s3.accessKeyId),
          AWS_SECRET_ACCESS_KEY: await secretOf(context, s3.secretAccessKey),
        }
      : inherited('AWS_');
  return {
    url: `s3:${endpoint}/${s3.bucket}/${below(s3.prefix)}`,
    args: ['-o', `s3.bucket-lookup=${s3.pathStyle ? 'path' : 'auto'}`, '-o', `s3.region=${s3.region}`],
    env,
  };
}

/** restic has no endpoint for Azure but, from 0.16 on, another domain than core.windows.net: ACCOUNT.blob.DOMAIN. */
async function toAzure(
  context: HostContext,
  location: string,
  azure: NonNullable<LocationPlan['azure']>,
): Promise<Way> {
  const env: Record<string, string> = {
    AZURE_ACCOUNT_NAME: azure.account,
    AZURE_ACCOUNT_KEY: await secretOf(context, azure.key),
  };
  if (azure.endpoint) {
    const { protocol, hostname, port } = new URL(azure.endpoint);
    const start = `${azure.account}.blob.`;
    const why =
      protocol !== 'https:' || port || !hostname.startsWith(start)
        ? `restic reaches only https://${start}DOMAIN`
        : (await versionOf()) < 16
          ? 'restic can be told another domain from version 0.16 on'
          : undefined;
    if (why) {
      throw failure(
        'BadRequest',
        `restic cannot reach the endpoint of location ${location} from ${context.host}: ${why}`,
        'Install a newer restic, or name another location for files and Redis in the plan.',
      );
    }
    env['AZURE_ENDPOINT_SUFFIX'] = hostname.slice(start.length);
  }
  return { url: `azure:${azure.container}:/${below(azure.prefix)}`, env };
}

async function toGcs(
  context: HostContext,
  location: string,
  gcs: NonNullable<LocationPlan['gcs']>,
  home: string,
): Promise<Way> {
  if (gcs.endpoint) {
    throw failure(
      'BadRequest',
      `restic cannot be told the endpoint of location ${location}: it knows storage.googleapis.com alone`,
      'Name another location for files and Redis in the plan.',
    );
  }
  if (!gcs.credentials) return { url: `gs:${gcs.bucket}:/${below(gcs.prefix)}`, env: inherited('GOOGLE_') };
  const file = join(home, 'credentials.json');
  await writeWhole(file, await secretOf(context, gcs.credentials), { mode: 0o600 });
  return { url: `gs:${gcs.bucket}:/${below(gcs.prefix)}`, env: { GOOGLE_APPLICATION_CREDENTIALS: file } };
}

/**
 * By ssh with a configuration of our own: the plan's key and no other, the plan's host key and no other, and an end
 * when the line is dead.
 */
async function toSftp(context: HostContext, sftp: NonNullable<LocationPlan['sftp']>, home: string): Promise<Way> {
  const [key, known, config] = [join(home, 'id'), join(home, 'known_hosts'), join(home, 'ssh_config')];
  // A private key ends with a line end, and secrets are read without.
  await writeWhole(key, `${await secretOf(context, sftp.privateKey)}\n`, { mode: 0o600 });
  await writeWhole(known, `lifeboat ${sftp.hostKey}\n`, { mode: 0o600 });
  const file = (path: string) => `"${path.replaceAll('%', '%%')}"`;
  const settings = [
    ...['Host lifeboat', `HostName ${sftp.host}`, `Port ${sftp.port}`, `User ${sftp.user}`],
    ...[`IdentityFile ${file(key)}`, 'IdentitiesOnly yes', 'IdentityAgent none'],
    ...[
      `UserKnownHostsFile ${file(known)}`,
      'GlobalKnownHostsFile none',
      'HostKeyAlias lifeboat',
      'StrictHostKeyChecking yes',
    ],
    ...['BatchMode yes', 'ConnectTimeout 20', 'ServerAliveInterval 15', 'ServerAliveCountMax 4', ''],
  ];
  await writeWhole(config, settings.join('\n'), { mode: 0o600 });
  // restic reads options as CSV, and then splits the command at spaces that are not in quotes.
  const option = `sftp.command=ssh -F '${config}' -s lifeboat sftp`;
  return { url: `sftp:lifeboat:${sftp.directory}/restic`, args: ['-o', `"${option.replaceAll('"', '""')}"`] };
}

/** The credentials of the machine: what the vendor's own client would find in the environment. */
const inherited = (start: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[0].startsWith(start) && !!entry[1]),
  );

/** 14 for 0.14.0; 1000 and more from 1.0 on. */
async function versionOf(): Promise<number> {
  const [major = 0, minor = 0] = (await resticVersion()).split('.').map(Number);
  return major * 1000 + minor;
}

/** `0.14.0`. Throws ToolMissing. */
export async function resticVersion(): Promise<string> {
  const { stdout } = await run('restic', ['version']);
  return /restic (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}
