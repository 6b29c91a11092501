import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { placeOf } from '../../../plan/access.js';
import type { LocationPlan } from '../../../plan/schema.js';
import { failure } from '../../errors.js';

/**
 * A location of the plan as pgBackRest's options name it. Source: pgbackrest.org/configuration.html, section
 * "Repository".
 */
export interface Repository {
  /** Options without their `repoN-`. */
  options: Record<string, string>;
  /** Files that must stand beside the configuration, readable by its owner alone: option, and what is in it. */
  files: Record<string, string>;
}

type Secret = (reference: string) => Promise<string>;

/** Throws SecretMissing, and BadRequest for what pgBackRest cannot do. */
export async function repositoryOf(name: string, location: LocationPlan, secret: Secret): Promise<Repository> {
  const { directory, s3, azure, gcs, sftp, encryption } = location;
  const repository = s3
    ? await s3Repository(name, s3, secret)
    : azure
      ? await azureRepository(name, azure, secret)
      : gcs
        ? await gcsRepository(name, gcs, secret)
        : sftp
          ? await sftpRepository(sftp, secret)
          : { options: { path: directory! }, files: {} };
  // A database has thousands of small files, and each would be a request of its own. In a directory they stay files.
  if (!directory) repository.options['bundle'] = 'y';
  if (encryption)
    Object.assign(repository.options, { 'cipher-type': 'aes-256-cbc', 'cipher-pass': await secret(encryption) });
  return repository;
}

const pathOf = (prefix: string | undefined) => (prefix ? `/${prefix}` : '/');

async function s3Repository(name: string, s3: NonNullable<LocationPlan['s3']>, secret: Secret): Promise<Repository> {
  const endpoint = endpointOf(name, s3.endpoint ?? `https://s3.${s3.region}.amazonaws.com`);
  return {
    options: {
      type: 's3',
      path: pathOf(s3.prefix),
      's3-bucket': s3.bucket,
      's3-region': s3.region,
      's3-endpoint': endpoint.host,
      ...(s3.pathStyle ? { 's3-uri-style': 'path' } : {}),
      ...(s3.accessKeyId && s3.secretAccessKey
        ? { 's3-key': await secret(s3.accessKeyId), 's3-key-secret': await secret(s3.secretAccessKey) }
        : // The role of the instance.
          { 's3-key-type': 'auto' }),
      ...portOf(endpoint),
    },
    files: await authority(name, s3.caFile),
  };
}

async function azureRepository(
  name: string,
  azure: NonNullable<LocationPlan['azure']>,
  secret: Secret,
): Promise<Repository> {
  const endpoint = endpointOf(name, azure.endpoint ?? `https://${azure.account}.blob.core.windows.net`);
  const own = `${azure.account}.`;
  return {
    options: {
      type: 'azure',
      path: pathOf(azure.prefix),
      'azure-account': azure.account,
      'azure-container': azure.container,
      'azure-key': await secret(azure.key),
      ...(endpoint.host.startsWith(own)
        ? { 'azure-endpoint': endpoint.host.slice(own.length) }
        : { 'azure-endpoint': endpoint.host, 'azure-uri-style': 'path' }),
      ...portOf(endpoint),
    },
    files: await authority(name, azure.caFile),
  };
}

async function gcsRepository(name: string, gcs: NonNullable<LocationPlan['gcs']>, secret: Secret): Promise<Repository> {
  const endpoint = gcs.endpoint === undefined ? undefined : endpointOf(name, gcs.endpoint);
  return {
    options: {
      type: 'gcs',
      path: pathOf(gcs.prefix),
      'gcs-bucket': gcs.bucket,
      'gcs-key-type': gcs.credentials ? 'service' : 'auto',
      ...(endpoint ? { 'gcs-endpoint': endpoint.host } : {}),
      ...portOf(endpoint),
    },
    files: {
      ...(gcs.credentials ? { 'gcs-key': await secret(gcs.credentials) } : {}),
      ...(await authority(name, gcs.caFile)),
    },
  };
}

async function sftpRepository(sftp: NonNullable<LocationPlan['sftp']>, secret: Secret): Promise<Repository> {
  const key = Buffer.from(sftp.hostKey.split(/\s+/)[1] ?? '', 'base64');
  return {
    options: {
      type: 'sftp',
      path: sftp.directory,
      'sftp-host': sftp.host,
      'sftp-host-port': String(sftp.port),
      'sftp-host-user': sftp.user,
      'sftp-host-key-check-type': 'fingerprint',
      'sftp-host-key-hash-type': 'sha256',
      'sftp-host-fingerprint': createHash('sha256').update(key).digest('hex'),
    },
    files: { 'sftp-private-key-file': `${(await secret(sftp.privateKey)).trimEnd()}\n` },
  };
}

const portOf = (endpoint: { port: string } | undefined): Record<string, string> =>
  endpoint?.port ? { 'storage-port': endpoint.port } : {};

/** A copy: the owner of the data need not be able to read what the agent can. Throws BadRequest. */
async function authority(name: string, caFile: string | undefined): Promise<Record<string, string>> {
  if (!caFile) return {};
  const text = await readFile(caFile, 'utf8').catch((error: unknown) => {
    throw failure(
      'BadRequest',
      `the certificate authority of location ${name} cannot be read: ${(error as Error).message}`,
      'Put the file there, or correct caFile in the plan.',
    );
  });
  return { 'storage-ca-file': text };
}

function endpointOf(name: string, text: string): { host: string; port: string } {
  const { protocol, hostname, port } = new URL(text);
  if (protocol === 'https:') return { host: hostname, port };
  throw failure(
    'BadRequest',
    `pgBackRest speaks to location ${name} over TLS only, and its endpoint is ${protocol}//${hostname}`,
    'Give the service a certificate (caFile names its authority), or keep physical backups elsewhere.',
  );
}

/** pgBackRest has SFTP since 2.46. */
export const takesSftp = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 46);
};

export const noSftp = (name: string, location: LocationPlan, host: string, version: string) =>
  failure(
    'BadRequest',
    `location ${name} (${placeOf(location)}) is reached by SFTP, which pgBackRest has since 2.46, and ${host} has pgBackRest ${version}`,
    `Install a newer pgbackrest on ${host}, or keep physical backups at another location.`,
  );
