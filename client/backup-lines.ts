import { formatBytes, formatDuration } from '../vocabulary/units.js';
import type { BackupRecord } from '../vocabulary/backup.js';

/** Backups as `backup list` prints them: a line for each, in columns. */
export function backupLines(backups: BackupRecord[], now = Date.now()): string[] {
  const rows = backups.map((backup) => [
    backup.id,
    backup.type,
    backup.component,
    backup.location,
    formatBytes(backup.size).padStart(8),
    `${ago(backup.timestamp, now)} old`.padStart(11),
    provenBy(backup, now),
  ]);
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, at) => Math.max(most[at] ?? 0, cell.length)), []);
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
}

/** What is known of it: damaged, restored (how fast, when), verified, or neither yet. */
function provenBy({ damaged, restored, verified }: BackupRecord, now = Date.now()): string {
  if (damaged) return `DAMAGED: ${damaged.why}`;
  const words = [verified ? `verified ${ago(verified.at, now)} ago` : 'not verified'];
  if (restored)
    words.push(
      `last restored in ${formatDuration(restored.seconds)}, ${ago(restored.at, now)} ago on ${restored.host}`,
    );
  return words.join(', ');
}

const ago = (at: string, now: number): string => formatDuration(Math.max(0, (now - Date.parse(at)) / 1000));
