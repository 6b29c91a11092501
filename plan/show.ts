/** How a value of the plan file is shown in a problem: short, on one line, and never when it may be a secret. Pure. */

export type Path = readonly (string | number)[];

const secretName = /pass|secret|token|credential|encryption|private|api_?-?key|access_?-?key/i;
const hidden = '(hidden)';

/** `databases.main.postgres.port`, `drills[0].schedule`. */
export function showPath(path: Path): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');
}

/**
 * True when what stands at the path may be a secret put in clear: its own key says so, or that of the list that it is
 * in.
 */
const isSecretPath = (path: Path): boolean =>
  secretName.test(String(path.findLast((part) => typeof part === 'string') ?? ''));

/** The value as a problem shows it. Secrets in URLs and in arguments of commands are hidden too. */
export function showValue(value: unknown, path: Path): string {
  if (value === null || value === undefined) return 'nothing';
  if (isSecretPath(path)) return hidden;
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  if (typeof value === 'object') {
    const keys = Object.keys(value);
    return keys.length === 0
      ? 'an empty map'
      : `a map with ${keys.slice(0, 5).join(', ')}${keys.length > 5 ? ', ...' : ''}`;
  }
  const text = mask(JSON.stringify(value));
  return text.length > 80 ? `${text.slice(0, 76)}..."` : text;
}

/** Hides the password of a URL, and what follows `password=`, `--token ` and the like. */
function mask(text: string): string {
  return text
    .replace(/(\w+:\/\/[^\s:/@]*):[^\s@]+@/g, `$1:${hidden}@`)
    .replace(/((?:pass\w*|secret\w*|token|api[-_]?key)\s*[=: ]\s*)[^\s"'\\]+/gi, `$1${hidden}`);
}
