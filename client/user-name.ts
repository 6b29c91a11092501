import { userInfo } from 'node:os';

/**
 * Who is speaking, for the record: `--as` (also an empty one, which is then refused), else LIFEBOAT_USER, else the
 * login name (of whoever called sudo, when it was sudo).
 */
export function whoami(as?: string): string {
  if (as !== undefined) return as.trim();
  const named = process.env['LIFEBOAT_USER'] ?? process.env['SUDO_USER'];
  if (named) return named;
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
