/**
 * Times as reports show them: UTC, and beside it the timezone of the plan. A text that is no time is shown as it is.
 */

/** `2026-11-21 03:15:02 UTC (08:45:02 Asia/Kolkata)` */
export function formatMoment(iso: string, timezone?: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const utc = inZone(at, 'UTC');
  if (!timezone || timezone === 'UTC') return `${utc} UTC`;
  const local = inZone(at, timezone);
  return `${utc} UTC (${sameDay(utc, local) ? local.slice(11) : local} ${timezone})`;
}

/** `03:15:02`, with the date when it is not the day of `since`. */
export function formatClock(iso: string, since?: string, timezone = 'UTC'): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const text = inZone(at, timezone);
  return since && !sameDay(inZone(new Date(since), timezone), text) ? text : text.slice(11);
}

export const secondsBetween = (from: string | Date, to: string | Date): number =>
  (new Date(to).getTime() - new Date(from).getTime()) / 1000;

const sameDay = (a: string, b: string): boolean => a.slice(0, 10) === b.slice(0, 10);

/** Swedish writes dates as ISO does: `2026-11-21 03:15:02`. */
const inZone = (at: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' }).format(at);
