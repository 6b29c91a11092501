import type { CopyFigures } from '../../vocabulary/incident.js';
import { formatDuration } from '../../vocabulary/units.js';

/**
 * What only the copy has that a roll-back puts aside, in sentences. `placed`: as it was when it was put in place;
 * `aside`: right before it was taken out of service; `back`: the old copy, when it was in place again.
 */
export function leftBehind(
  placed: CopyFigures | undefined,
  aside: CopyFigures,
  back: CopyFigures | undefined,
  where: string,
): string[] {
  const from = placed?.at ?? 'it was put in place';
  const seconds = placed ? (Date.parse(aside.at) - Date.parse(placed.at)) / 1000 : undefined;
  const when = `between ${from} and ${aside.at}${seconds === undefined ? '' : ` (${formatDuration(seconds)})`}`;
  const written = transactions(placed, aside);
  const how =
    written === undefined
      ? `what was committed to the restored copy ${when}, which could not be counted${aside.why ? ` (${aside.why})` : ''}`
      : written === 0
        ? `nothing was committed to the restored copy ${when} but the canary`
        : `up to ${written} transactions that were committed to the restored copy ${when}, besides the canary${aside.lastCommit ? `; the last look at it was at ${aside.lastCommit}` : ''}`;
  const rows = Object.entries(aside.rows).map(([table, count]) => {
    const now = back?.rows[table];
    return `${table}: ${count ?? 'not counted'}${count === null ? '' : ' rows'} in the copy that was put aside, ${now ?? 'not counted'}${now == null ? '' : ' rows'} in the one that is in place again`;
  });
  return [`${how}: it stays behind in ${where}`, ...rows];
}

function transactions(placed: CopyFigures | undefined, aside: CopyFigures): number | undefined {
  if (!placed?.transaction || !aside.transaction) return undefined;
  const beats = Math.max(0, (aside.beats ?? 0) - (placed.beats ?? 0));
  return Math.max(0, Number(BigInt(aside.transaction) - BigInt(placed.transaction)) - beats);
}
