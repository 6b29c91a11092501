/**
 * Where a recovery goes back to. `timeline`: the latest moment of that one, where nobody but a person knows which
 * served last.
 */
export type Target =
  | { kind: 'latest'; timeline?: number }
  | { kind: 'time'; iso: string }
  | { kind: 'lsn'; lsn: string }
  | { kind: 'backup'; label: string };

export class TargetError extends Error {
  constructor(
    message: string,
    readonly hint: string,
  ) {
    super(message);
    this.name = 'TargetError';
  }
}

const label = /^\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?$/;
const lsn = /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/;
const time = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?$/;

/**
 * Reads `latest`, a time with an explicit offset, an LSN, or the label of a backup. Throws {@link TargetError}: a time
 * without an offset is refused, since at 3 a.m. nobody knows whose clock it was read from.
 */
export function parseTarget(text: string): Target {
  const given = text.trim();
  if (given === 'latest') return { kind: 'latest' };
  const timeline = /^timeline:([1-9]\d{0,8})$/.exec(given)?.[1];
  if (timeline !== undefined) return { kind: 'latest', timeline: Number(timeline) };
  if (label.test(given)) return { kind: 'backup', label: given };
  if (lsn.test(given)) return { kind: 'lsn', lsn: given.toUpperCase() };
  const match = time.exec(given);
  if (!match) {
    throw new TargetError(
      `"${given}" is not a target`,
      'Give "latest", a time with its offset such as 2026-11-21T03:15:00Z, an LSN such as 0/3000148, or the label of a backup from: lifeboat backup list',
    );
  }
  if (!match[4]) {
    throw new TargetError(
      `the time "${given}" has no offset from UTC`,
      `Say whose clock it is: "${given}Z" for UTC, or for example "${given}+05:30"`,
    );
  }
  const offset =
    match[4] === 'Z'
      ? 'Z'
      : match[4].replace(/^([+-]\d{2}):?(\d{2})?$/, (_, h: string, m?: string) => `${h}:${m ?? '00'}`);
  const clock = given.slice(0, given.length - (match[3]?.length ?? 0));
  const iso = clock.replace(' ', 'T');
  const milliseconds = Date.parse(`${iso}${offset}`);
  // Date takes 30 February for 2 March: the day must come back as it was given.
  const asUtc = Date.parse(`${iso}Z`);
  const exists =
    !Number.isNaN(milliseconds) && !Number.isNaN(asUtc) && new Date(asUtc).toISOString().startsWith(iso.slice(0, 10));
  if (!exists) {
    throw new TargetError(
      `"${given}" is not a moment of the calendar`,
      'Check day, month and hour; for example 2026-11-21T03:15:00Z',
    );
  }
  // Date keeps milliseconds; PostgreSQL's commits have microseconds, and the target of a recovery must keep them.
  const micros = (match[2] ?? '.').slice(1).padEnd(6, '0');
  return { kind: 'time', iso: `${new Date(milliseconds).toISOString().slice(0, 19)}.${micros}Z` };
}

export function describeTarget(target: Target): string {
  switch (target.kind) {
    case 'latest':
      return target.timeline === undefined ? 'latest' : `the latest of timeline ${target.timeline}`;
    case 'time':
      return target.iso.replace('T', ' ').replace(/\.?0*Z$/, ' UTC');
    case 'lsn':
      return `LSN ${target.lsn}`;
    case 'backup':
      return `backup ${target.label}`;
  }
}
