import { distance } from 'fastest-levenshtein';

/** "Did you mean ...?" for a word that nobody knows. Pure. */

const bare = (word: string): string => word.toLowerCase().replace(/[-_ .]/g, '');

/**
 * Gives the known word that the given one is most likely a slip of, or undefined when none is near. Case, - and _ do
 * not count.
 */
export function closest(given: string, known: readonly string[]): string | undefined {
  const word = bare(given);
  let best: { known: string; far: number } | undefined;
  for (const candidate of known) {
    const other = bare(candidate);
    // `location` for `locations`, `dir` for `directory`: a beginning is nearer than its distance says.
    const begins = word.length >= 3 && (other.startsWith(word) || (other.length >= 3 && word.startsWith(other)));
    // `prot` for `port`: letters in another order are one slip, not two.
    const swapped = word !== other && [...word].sort().join('') === [...other].sort().join('');
    const far = begins || swapped ? Math.min(1, distance(word, other)) : distance(word, other);
    if (far <= Math.max(1, Math.floor(Math.max(word.length, other.length) / 3)) && far < (best?.far ?? Infinity))
      best = { known: candidate, far };
  }
  return best?.known;
}

/** The hint that goes with an unknown word: the nearest known one, or all of them. `kind`: "host", "key". */
export function suggestion(given: string, known: readonly string[], kind: string): string {
  const near = closest(given, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  if (known.length === 0) return `there is no ${kind} here yet`;
  return `known ${kind}s: ${known.join(', ')}`;
}
