/** Which backups the plan keeps. */

export interface KeepRules {
  /** The newest ones, so many. */
  last?: number | undefined;
  /** The newest of each of the last so many days of the calendar, today among them. */
  daily?: number | undefined;
  /** The newest of each of the last so many months, this one among them. */
  monthly?: number | undefined;
  /** All that are younger than this, in seconds. */
  for?: number | undefined;
}

/**
 * The IDs of the backups that any of the rules keeps. Days and months are those of the calendar in the timezone: where
 * the clock is put forward or back, a day has 23 or 25 hours and is one day all the same. A day without a backup counts
 * too: `daily: 30` reaches back 30 days, not 30 backups.
 */
export function kept(backups: { id: string; at: Date }[], rules: KeepRules, now: Date, timezone: string): Set<string> {
  const keep = new Set<string>();
  // A clock ran ahead when it dated them: such a one is kept, and takes the place of none that is newer in truth.
  for (const { id, at } of backups) if (at > now) keep.add(id);
  const newestFirst = backups
    .filter(({ at }) => at <= now)
    .sort((a, b) => b.at.getTime() - a.at.getTime() || b.id.localeCompare(a.id));
  for (const { id } of newestFirst.slice(0, rules.last ?? 0)) keep.add(id);
  for (const { id, at } of newestFirst)
    if (rules.for !== undefined && now.getTime() - at.getTime() < rules.for * 1000) keep.add(id);
  const today = calendar(now, timezone);
  const newestOfEach = (count: number | undefined, numberOf: (day: Day) => number) => {
    const seen = new Set<number>();
    for (const { id, at } of newestFirst) {
      const number = numberOf(calendar(at, timezone));
      if (seen.has(number) || numberOf(today) - number >= (count ?? 0)) continue;
      seen.add(number);
      keep.add(id);
    }
  };
  if (rules.daily !== undefined)
    newestOfEach(rules.daily, ({ year, month, day }) => Date.UTC(year, month - 1, day) / 86_400_000);
  if (rules.monthly !== undefined) newestOfEach(rules.monthly, ({ year, month }) => year * 12 + month);
  return keep;
}

interface Day {
  year: number;
  month: number;
  day: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function calendar(at: Date, timeZone: string): Day {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'gregory',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return { year: parts['year']!, month: parts['month']!, day: parts['day']! };
}
