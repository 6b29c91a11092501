/**
 * What is a secret by itself in a larger one: the password in a URL, the lines of a private key. Tools show such parts,
 * not the whole. Pure.
 */
export function partsOfSecret(secret: string): string[] {
  if (secret.startsWith('{'))
    return [...secret.matchAll(/"private_key"\s*:\s*"([^"]+)"/g)].flatMap(([, key]) =>
      keyLines(key!.replaceAll('\\n', '\n')),
    );
  const [, user, password] = /^[a-z][a-z0-9+.-]*:\/\/([^:@/]*):([^@/]+)@/i.exec(secret) ?? [];
  if (password === undefined) return keyLines(secret);
  // One that is the name of its user is no secret, and would blank out that name.
  return password === user ? [] : [...new Set([password, decoded(password)])];
}

const keyLines = (text: string): string[] =>
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)
    ? text.split(/\s*\n\s*/).filter((line) => /^[A-Za-z0-9+/=]{16,}$/.test(line))
    : [];

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
