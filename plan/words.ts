import type { Control, Keep } from './schema.js';

/** Schedules and settings as people say them. Pure. */

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** `0 2 * * *`: "every day at 02:00". A schedule that is more intricate stays as it is written: `cron 7-9 2 * * *`. */
export function describeCron(cron: string): string {
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = cron.split(' ');
  const when = timesOf(minute, hour);
  if (when === undefined) return `cron ${cron}`;
  if (day === '*' && month === '*' && weekday === '*') return when.every ?? `every day at ${when.at!}`;
  if (when.at === undefined) return `cron ${cron}`;
  if (day === '*' && month === '*') {
    const range = /^(\w+)-(\w+)$/.exec(weekday);
    if (range) return `from ${dayName(range[1]!)} to ${dayName(range[2]!)} at ${when.at}`;
    return /^\w+(,\w+)*$/.test(weekday)
      ? `every ${sentenceList(weekday.split(',').map(dayName))} at ${when.at}`
      : `cron ${cron}`;
  }
  if (weekday !== '*' || !/^\d+$/.test(day)) return `cron ${cron}`;
  if (month === '*') return `on day ${day} of each month at ${when.at}`;
  const every = /^\*\/(\d+)$/.exec(month);
  if (every)
    return `on day ${day} of ${sentenceList(months.filter((_, at) => at % Number(every[1]) === 0))} at ${when.at}`;
  return /^\w+(,\w+)*$/.test(month)
    ? `on day ${day} of ${sentenceList(month.split(',').map(monthName))} at ${when.at}`
    : `cron ${cron}`;
}

/** The times of a day: `at` for one or a list of them, `every` for what goes on all day long. */
function timesOf(minute: string, hour: string): { at?: string; every?: string } | undefined {
  const step = (field: string): string | undefined => /^\*\/(\d+)$/.exec(field)?.[1];
  if (hour === '*' && minute === '*') return { every: 'every minute' };
  if (hour === '*' && step(minute)) return { every: `every ${step(minute)!} minutes` };
  if (!/^\d+$/.test(minute)) return undefined;
  if (hour === '*') return { every: `every hour at minute ${minute}` };
  if (step(hour)) return { every: `every ${step(hour)!} hours, beginning at 00:${two(minute)}` };
  return /^\d+(,\d+)*$/.test(hour)
    ? { at: sentenceList(hour.split(',').map((each) => `${two(each)}:${two(minute)}`)) }
    : undefined;
}

const two = (number: string): string => number.padStart(2, '0');
const dayName = (field: string): string =>
  days[
    /^\d+$/.test(field) ? Number(field) : days.findIndex((day) => day.toUpperCase().startsWith(field.toUpperCase()))
  ] ?? field;
const monthName = (field: string): string =>
  months[
    /^\d+$/.test(field)
      ? Number(field) - 1
      : months.findIndex((month) => month.toUpperCase().startsWith(field.toUpperCase()))
  ] ?? field;

/** Seconds as a plan writes them: `15m`, `1h 30m`, `2d`. */
export function planDuration(seconds: number): string {
  const parts: string[] = [];
  let rest = seconds;
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
  ] as const) {
    if (rest >= length) parts.push(`${Math.floor(rest / length)}${unit}`);
    rest %= length;
  }
  if (rest > 0 || parts.length === 0) parts.push(`${Number(rest.toFixed(3))}s`);
  return parts.join(' ');
}

/** Which backups are kept: "the newest of each day for 30 days, and the newest of each month for 12 months". */
export function keepWords({ last, daily, monthly, for: age }: Keep): string {
  const many = (number: number, unit: string): string => `${number} ${unit}${number === 1 ? '' : 's'}`;
  const rules = [
    ...(last === undefined ? [] : [`the newest ${last}`]),
    ...(daily === undefined ? [] : [`the newest of each day for ${many(daily, 'day')}`]),
    ...(monthly === undefined ? [] : [`the newest of each month for ${many(monthly, 'month')}`]),
    ...(age === undefined ? [] : [`all of the last ${planDuration(age)}`]),
  ];
  return rules.length < 2 ? (rules[0] ?? 'none') : `${rules.slice(0, -1).join(', ')}, and ${rules.at(-1)!}`;
}

/** `['a', 'b', 'c']`: "a, b and c". `none`: what to say of an empty list. */
export function sentenceList(words: readonly string[], none = 'none'): string {
  if (words.length < 2) return words[0] ?? none;
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)!}`;
}

/** What stops or starts a service, or asks whether it runs, as it would be typed on its host. */
export function controlCommand(control: Control, what: 'start' | 'stop' | 'status'): string {
  if ('systemd' in control) return `systemctl ${what === 'status' ? 'is-active' : what} ${control.systemd}`;
  return control[what]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`))
    .join(' ');
}
