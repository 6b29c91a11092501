import { randomFrom } from '../../lab/random.js';
import { namesOf } from './points.js';

/**
 * What the walks choose by: a day has one, so that what is red stays red when it is run again. LIFEBOAT_FAULT_SEED sets
 * another.
 */
export function seed(): number {
  return Number(process.env['LIFEBOAT_FAULT_SEED'] ?? Math.floor(Date.now() / 86_400_000));
}

/** For the output of a test, to do the same again. */
export const seedInWords = (): string => `LIFEBOAT_FAULT_SEED=${seed()}`;

/** So many of these points, less those of `without`, by the seed. */
export function chosen(count: number, points: Record<string, string[]>, without: string[] = []): string[] {
  const random = randomFrom(seed());
  return namesOf(points)
    .filter((name) => !without.includes(name))
    .map((name) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, count)
    .map(({ name }) => name);
}
