import type { Known } from '../postgres/known-configuration.js';

/**
 * A name that tells of a secret, and its value: in a setting, a connection string within one, and a line of pg_hba.conf
 * (ldapbindpasswd, radiussecrets).
 */
const assigned =
  /\b(?!password_encryption\b|ssl_passphrase_command_supports_reload\b)([\w.]*(?:passw|secret|passphrase|token|access_key)[\w.]*\s*=\s*)(''[^']*''|'[^']*'|"[^"]*"|[^\s'",;]+)/gi;
/** postgres://user:PASSWORD@host */
const inUrl = /(:\/\/[^\s:/@']+:)([^\s@']+)(@)/g;

const instead = 'removed-by-lifeboat';

/** A configuration without the values of what looks like a secret: how many were left out stands beside each file. */
export function withoutSecrets(known: Known): Known {
  const files = Object.entries(known.files).map(([path, file]) => {
    let count = 0;
    const text = file.text
      .replace(assigned, (_, name: string) => ((count += 1), `${name}${instead}`))
      .replace(
        inUrl,
        (_, before: string, _secret: string, after: string) => ((count += 1), `${before}${instead}${after}`),
      );
    return [path, count > 0 ? { ...file, text, secretsLeftOut: count } : file] as const;
  });
  return { ...known, files: Object.fromEntries(files) };
}
