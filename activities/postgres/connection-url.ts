import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { failure } from '../errors.js';

/** A connection string in the parts that libpq's environment has, so that no password is ever on a command line. */

const variables: Record<string, string> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  channel_binding: 'PGCHANNELBINDING',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
};

/**
 * libpq's environment for `postgres://user:password@host:port/name?sslmode=...`. The database is the plan's own `name`.
 * Throws BadRequest, without a word of the text, which holds a password.
 * Source: PostgreSQL manual, "Connection URIs" and "Environment Variables" of libpq.
 */
export function readUrl(text: string): Record<string, string> {
  let url: URL;
  try {
    // An empty host (a socket, named by ?host=) is allowed by libpq and not by every parser: a stand-in takes its
    // place.
    url = new URL(text.replace(/^postgres(ql)?:\/\/([^/?@]*@)?(?=[/?]|$)/, 'postgres://$2localhost-socket'));
    if (!/^postgres(ql)?:$/.test(url.protocol)) throw new Error('not a connection string');
  } catch {
    throw failure(
      'BadRequest',
      'what postgres.url of the plan refers to is no connection string',
      'It looks like postgres://user:password@host:5432/name; write %40 for an @ in a password.',
    );
  }
  const env: Record<string, string> = {};
  const set = (name: string, value: string) => {
    const variable = variables[name];
    if (variable && value !== '') env[variable] = value;
  };
  if (url.hostname !== 'localhost-socket') set('host', decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'));
  set('port', url.port);
  set('user', decodeURIComponent(url.username));
  set('password', decodeURIComponent(url.password));
  for (const [name, value] of url.searchParams) set(name, value);
  env['PGPORT'] ??= '5432';
  return env;
}

/** The same for the driver, which knows nothing of `prefer`: both ways are tried, in libpq's order. */
export function connectionOf(env: Record<string, string>): pg.ClientConfig[] {
  const host = env['PGHOSTADDR'] ?? env['PGHOST'];
  const config: pg.ClientConfig = {
    ...(host === undefined ? {} : { host }),
    port: Number(env['PGPORT']),
    user: env['PGUSER'],
    password: env['PGPASSWORD'],
    ...(env['PGOPTIONS'] ? { options: env['PGOPTIONS'] } : {}),
  };
  const mode = env['PGSSLMODE'] ?? 'prefer';
  const plain = { ...config, ssl: false };
  if (host === undefined || host.startsWith('/') || mode === 'disable') return [plain];
  const ca =
    env['PGSSLROOTCERT'] && env['PGSSLROOTCERT'] !== 'system' ? { ca: readFileSync(env['PGSSLROOTCERT'], 'utf8') } : {};
  const own = {
    ...(env['PGSSLCERT'] ? { cert: readFileSync(env['PGSSLCERT'], 'utf8') } : {}),
    ...(env['PGSSLKEY'] ? { key: readFileSync(env['PGSSLKEY'], 'utf8') } : {}),
  };
  const anybody = { ...config, ssl: { ...own, rejectUnauthorized: false } };
  switch (mode) {
    case 'allow':
      return [plain, anybody];
    case 'prefer':
      return [anybody, plain];
    case 'require':
      return [anybody];
    case 'verify-ca':
      return [{ ...config, ssl: { ...own, ...ca, checkServerIdentity: () => undefined } }];
    default:
      return [{ ...config, ssl: { ...own, ...ca } }];
  }
}
