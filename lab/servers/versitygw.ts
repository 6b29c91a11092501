import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../ports.js';
import { tool } from '../tools.js';
import { makeCertificates } from './certificates.js';
import { serve, type ServerOptions } from './serve.js';

export interface S3User {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface Versitygw extends S3User {
  /** https://127.0.0.1:PORT; buckets stand in the path. */
  endpoint: string;
  port: number;
  region: string;
  caFile: string;
  /** Where the objects of a bucket are, as files. */
  bucketDirectory(bucket: string): string;
  /** Another user, who may see what belongs to them only. */
  addUser(): Promise<S3User>;
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** On the same port, with what it had. */
  restart(): Promise<void>;
}

export interface VersitygwOptions extends ServerOptions {
  region?: string;
  buckets?: string[];
}

/** An S3 service over a directory: versitygw, with TLS by an authority of its own. */
export async function startVersitygw(options: VersitygwOptions): Promise<Versitygw> {
  const { directory, region = 'us-east-1' } = options;
  const port = await freePort();
  const data = join(directory, 'data');
  const users = join(directory, 'users');
  for (const path of [data, users]) mkdirSync(path, { recursive: true });
  chmodSync(users, 0o700);
  const tls = await makeCertificates(join(directory, 'tls'));
  const user = {
    accessKeyId: `root${randomBytes(6).toString('hex')}`,
    secretAccessKey: randomBytes(20).toString('hex'),
  };
  const endpoint = `https://127.0.0.1:${port}`;
  const args = [
    ...['--port', `127.0.0.1:${port}`, '--region', region, '--cert', tls.certificateFile, '--key', tls.keyFile],
    ...['--iam-dir', users, '--iam-cache-disable', '--quiet', 'posix', data],
  ];
  // Its credentials by environment: argument lists are for all to see.
  const env = { ...options.env, ROOT_ACCESS_KEY_ID: user.accessKeyId, ROOT_SECRET_ACCESS_KEY: user.secretAccessKey };
  const start = () => serve('versitygw', { ...options, env }, port, tool('versitygw'), args);
  let child = await start();
  // It takes directories for buckets.
  for (const bucket of options.buckets ?? []) mkdirSync(join(data, bucket), { recursive: true });
  return {
    ...user,
    endpoint,
    port,
    region,
    caFile: tls.caFile,
    bucketDirectory: (bucket) => join(data, bucket),
    async addUser() {
      const added = {
        accessKeyId: `user${randomBytes(6).toString('hex')}`,
        secretAccessKey: randomBytes(20).toString('hex'),
      };
      const admin = ['admin', '--endpoint-url', endpoint, '--region', region, '--allow-insecure', 'create-user'];
      await promisify(execFile)(
        tool('versitygw'),
        [...admin, '--access', added.accessKeyId, '--secret', added.secretAccessKey, '--role', 'user'],
        {
          env: { ...options.env, ADMIN_ACCESS_KEY_ID: user.accessKeyId, ADMIN_SECRET_ACCESS_KEY: user.secretAccessKey },
        },
      );
      return added;
    },
    stop: () => child.stop(),
    kill9: () => child.kill9(),
    async restart() {
      if (child.isAlive()) await child.kill9();
      child = await start();
    },
  };
}
