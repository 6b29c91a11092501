import { formatBytes, formatDuration } from '../vocabulary/units.js';
import type { Progress } from '../vocabulary/incident.js';

/** One line of how far a backup or a restore is: bytes, rate, time left. `before`: the same, some seconds ago. */
function progressLine(now: Progress, before?: { at: number; progress: Progress }, at = Date.now()): string {
  const { what, percent, bytesDone, bytesTotal, secondsLeft } = now;
  const parts = [what];
  if (bytesDone !== undefined)
    parts.push(bytesTotal ? `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}` : formatBytes(bytesDone));
  const share = percent ?? (bytesDone !== undefined && bytesTotal ? (100 * bytesDone) / bytesTotal : undefined);
  if (share !== undefined) parts.push(`${Math.min(100, Math.round(share))}%`);
  const rate = rateOf(now, before, at);
  if (rate) parts.push(`${formatBytes(rate)}/s`);
  const left =
    secondsLeft ??
    (rate && bytesDone !== undefined && bytesTotal ? Math.max(0, bytesTotal - bytesDone) / rate : undefined);
  if (left !== undefined) parts.push(`${formatDuration(left)} left`);
  return parts.join('  ');
}

function rateOf(now: Progress, before: { at: number; progress: Progress } | undefined, at: number): number | undefined {
  if (!before || before.progress.what !== now.what || at <= before.at) return undefined;
  const rate = ((now.bytesDone ?? 0) - (before.progress.bytesDone ?? 0)) / ((at - before.at) / 1000);
  return rate > 0 ? rate : undefined;
}

/** A line that changes in a terminal; nothing elsewhere. Returns what ends it. */
export function showProgress(look: () => Promise<Progress[]>): () => void {
  if (!process.stderr.isTTY) return () => undefined;
  // Without a plan file, who breaks off is heard already (broken-off.ts).
  if (process.listenerCount('SIGINT') === 0) process.once('SIGINT', interrupted);
  const seen: { at: number; progress: Progress }[] = [];
  const timer = setInterval(() => {
    void look().then(
      ([now]) => {
        if (!now) return;
        const columns = process.stderr.columns || 80;
        process.stderr.write(`\r\x1b[K${progressLine(now, seen[0]).slice(0, columns - 1)}`);
        seen.push({ at: Date.now(), progress: now });
        if (seen.length > 5) seen.shift();
      },
      () => undefined,
    );
  }, 1000);
  return () => {
    clearInterval(timer);
    process.off('SIGINT', interrupted);
    process.stderr.write('\r\x1b[K');
  };
}

function interrupted(): void {
  process.stderr.write('\nIt goes on without this terminal; the same command again follows it.\n');
  process.exit(128 + 2);
}
