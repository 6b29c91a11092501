import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tool } from '../tools.js';

const run = promisify(execFile);

export interface Certificates {
  /** The certificate of the authority: what clients must know. */
  caFile: string;
  certificateFile: string;
  keyFile: string;
}

/**
 * A certificate authority of its own, and a server's certificate by it for 127.0.0.1 and localhost. Made once for each
 * directory.
 */
export async function makeCertificates(directory: string): Promise<Certificates> {
  mkdirSync(directory, { recursive: true });
  const path = (name: string): string => join(directory, name);
  const made = { caFile: path('ca.crt'), certificateFile: path('server.crt'), keyFile: path('server.key') };
  if (existsSync(made.certificateFile)) return made;
  const openssl = (...args: string[]) => run(tool('openssl'), args, { cwd: directory });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '30',
    '-subj',
    '/CN=Lifeboat lab CA',
  );
  await openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(path('names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n');
  const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
  await openssl('x509', '-req', '-in', 'server.csr', ...by, '-out', 'server.crt', '-days', '30', '-extfile', 'names');
  // Databases read the authority, as their own user.
  chmodSync(made.caFile, 0o644);
  return made;
}
