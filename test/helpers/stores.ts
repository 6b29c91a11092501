import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { destroyLab, makeLabDirectory } from '../../lab/cleanup.js';
import { labVariable } from '../../lab/processes.js';
import { type Azurite, startAzurite } from '../../lab/servers/azurite.js';
import { startVersitygw, type Versitygw } from '../../lab/servers/versitygw.js';

/** Object stores for a lab: they end, and their directory goes, however the test ends. */
export interface Stores {
  directory: string;
  s3(name: string, region?: string): Promise<Versitygw & { bucket: string }>;
  azure(): Promise<Azurite>;
  stop(): void;
}

export function makeStores(): Stores {
  const directory = makeLabDirectory();
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], [labVariable]: directory };
  const at = (name: string) => {
    mkdirSync(join(directory, name));
    return { directory: join(directory, name), env };
  };
  return {
    directory,
    async s3(name, region = 'us-east-1') {
      const bucket = `backups-${name}`;
      return { ...(await startVersitygw({ ...at(name), region, buckets: [bucket] })), bucket };
    },
    azure: () => startAzurite({ ...at('azure'), containers: ['backups'] }),
    stop: () => destroyLab(directory),
  };
}

/** pgBackRest compares names with certificates, and the ones of a lab are for localhost. */
const localhost = (endpoint: string) => endpoint.replace('127.0.0.1', 'localhost');

/** The S3 location as a plan has it; its keys are in the environment as NAME_KEY and NAME_SECRET. */
export const s3Location = (server: Versitygw & { bucket: string }, name: string) => ({
  s3: {
    bucket: server.bucket,
    region: server.region,
    prefix: 'insight/db',
    endpoint: localhost(server.endpoint),
    pathStyle: true,
    caFile: server.caFile,
    accessKeyId: `env:${name}_KEY`,
    secretAccessKey: `env:${name}_SECRET`,
  },
  encryption: 'env:BACKUP_PASSPHRASE',
});

export const s3Keys = (server: Versitygw, name: string): Record<string, string> => ({
  [`${name}_KEY`]: server.accessKeyId,
  [`${name}_SECRET`]: server.secretAccessKey,
});

export const azureLocation = (server: Azurite) => ({
  azure: {
    account: server.account,
    container: 'backups',
    key: 'env:AZURE_KEY',
    endpoint: localhost(server.endpoint),
    caFile: server.caFile,
  },
  encryption: 'env:BACKUP_PASSPHRASE',
});
