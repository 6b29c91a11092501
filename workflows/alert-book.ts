import type { Watched } from '../activities/notifications/channels.js';
import type { Alert, Notice, OpenAlert, Sent, Undelivered } from '../vocabulary/alert.js';
import type { Problem } from '../vocabulary/question.js';

/** Seconds. */
export interface Pace {
  /** How often the hosts are asked for trouble. */
  check: number;
  /** How often what is still open is said again. */
  remind: number;
  /** How soon what a channel did not take is tried anew, while it is open. */
  again: number;
  /** How long one notice is tried over one channel. */
  patience: number;
  /** Events of a history after which it begins anew. */
  history: number;
}

/** A notice on its way over a channel, or waiting for the one before it of the same alert. */
export interface Outgoing {
  channel: string;
  notice: Notice;
  /** When its time is up, milliseconds. */
  until: number;
}

/** Everything that outlives a run of the workflow. */
export interface Book {
  open: OpenAlert[];
  undelivered: Undelivered[];
  /** `channel key`: when that alert is told there next, milliseconds. */
  due: Record<string, number>;
  /** `channel key`: what the message of its raising is called there. */
  threads: Record<string, string>;
  /** Host: how often in a row it did not answer. */
  silent: Record<string, number>;
  outgoing: Outgoing[];
  watched: Watched;
  lastChecked?: string;
}

/** How many unanswered questions make a host an alert. */
const silences = 3;
/** Undelivered notices that are kept: nobody reads more, and no history should carry them. */
const kept = 50;
const keptMilliseconds = 7 * 86_400_000;

/** The open alerts of a system, and what must be said of them. No promise and no clock: the workflow brings both. */
export class AlertBook {
  constructor(
    private readonly system: string,
    private readonly pace: Pace,
    readonly book: Book = {
      open: [],
      undelivered: [],
      due: {},
      threads: {},
      silent: {},
      outgoing: [],
      watched: { channels: [], hosts: [] },
    },
  ) {}

  /** The same key again changes the text; only what has become critical is said at once again. */
  raise({ key, severity, title, text }: Alert, source: string, at: number): void {
    const found = this.book.open.find((one) => one.key === key);
    if (!found) {
      this.book.open.push({ key, severity, title, text, since: new Date(at).toISOString(), sources: [source] });
      return;
    }
    if (!found.sources.includes(source)) found.sources.push(source);
    // Told so far as a warning: it is told anew, and is no reminder.
    if (found.severity === 'warning' && severity === 'critical')
      for (const place of this.placesOf(key)) this.book.due[place] = anew;
    Object.assign(found, { severity, title, text });
  }

  /** It is over when nobody finds it any more; whoever was told of it is told so. */
  resolve(key: string, source: string, at: number, text = ''): void {
    const found = this.book.open.find((one) => one.key === key);
    if (!found) return;
    found.sources = found.sources.filter((one) => one !== source);
    if (found.sources.length > 0) return;
    this.book.open = this.book.open.filter((one) => one !== found);
    for (const place of this.placesOf(key)) {
      delete this.book.due[place];
      this.post(
        channelOf(place),
        this.notice(found, 'resolved', at, text || 'It is as it should be again. Nothing is to be done.'),
        at,
      );
    }
  }

  /** What a host says is wrong is raised; what it said before and does not say now is over. */
  answered(host: string, found: Alert[], at: number): void {
    this.book.silent[host] = 0;
    this.resolve(hostKey(host), host, at, `The agent of ${host} answers again.`);
    for (const alert of found) this.raise(alert, host, at);
    const keys = found.map(({ key }) => key);
    for (const { key, sources } of [...this.book.open]) {
      if (sources.includes(host) && !keys.includes(key)) this.resolve(key, host, at);
    }
  }

  /** What was wrong there stays so, for all that is known. */
  silent(host: string, why: string, at: number): void {
    const times = (this.book.silent[host] ?? 0) + 1;
    this.book.silent[host] = times;
    if (times < silences) return;
    this.raise(
      {
        key: hostKey(host),
        severity: 'critical',
        title: `the agent of ${host} does not answer`,
        text: `${why}. Nothing on ${host} is backed up or looked at. Look at that host, and start its agent there: lifeboat agent --host ${host}. See all of them: lifeboat doctor`,
      },
      host,
      at,
    );
  }

  /**
   * The plan as it is now. What was said of hosts that it no longer has is over, and channels that it no longer has are
   * told nothing.
   */
  follow(watched: Watched, at: number): void {
    this.book.watched = watched;
    const has = (place: string) => watched.channels.some(({ name }) => name === channelOf(place));
    for (const places of [this.book.due, this.book.threads])
      for (const place of Object.keys(places)) if (!has(place)) delete places[place];
    for (const { key, sources } of [...this.book.open]) {
      for (const source of sources.filter((one) => one !== '' && !watched.hosts.includes(one)))
        this.resolve(key, source, at, `${source} is no longer in the plan.`);
    }
    for (const host of Object.keys(this.book.silent)) if (!watched.hosts.includes(host)) delete this.book.silent[host];
    this.book.undelivered = this.book.undelivered.filter((one) => Date.parse(one.at) > at - keptMilliseconds);
  }

  /** Posts whatever is due now: what is new, what is open for another day, what a channel did not take. */
  tend(at: number): void {
    for (const { alert, channel, place } of this.places()) {
      if ((this.book.due[place] ?? anew) > at) continue;
      const notice = this.notice(alert, 'raised', Date.parse(alert.since));
      if ((this.book.due[place] ?? anew) !== anew) notice.reminder = true;
      this.book.due[place] = at + this.pace.remind * 1000;
      this.post(channel, notice, at);
    }
  }

  isDue(at: number): boolean {
    return this.nextDue() <= at;
  }

  /** When something is to be told next, milliseconds. */
  nextDue(): number {
    return Math.min(Number.MAX_SAFE_INTEGER, ...this.places().map(({ place }) => this.book.due[place] ?? anew));
  }

  /** Every alert with every channel that is told of it. */
  private places(): { alert: OpenAlert; channel: string; place: string }[] {
    return this.book.open.flatMap((alert) =>
      this.book.watched.channels
        .filter(({ onlyCritical }) => !onlyCritical || alert.severity === 'critical')
        .map(({ name }) => ({ alert, channel: name, place: placeOf(name, alert.key) })),
    );
  }

  /**
   * Those that may be sent now: of one alert, a channel is told one thing after the other. What was resolved must not
   * arrive before it was raised.
   */
  sendable(): Outgoing[] {
    const seen = new Set<string>();
    return this.book.outgoing.filter(({ channel, notice }) => {
      const place = placeOf(channel, notice.key);
      const first = !seen.has(place);
      seen.add(place);
      return first;
    });
  }

  /** As it is sent: what it answers may be known only now. */
  addressed({ channel, notice }: Outgoing): Notice {
    const thread = this.book.threads[placeOf(channel, notice.key)];
    return thread === undefined ? notice : { ...notice, thread };
  }

  delivered(out: Outgoing, sent: Sent, at: number): void {
    const { channel, notice } = out;
    const place = placeOf(channel, notice.key);
    this.done(out);
    if (notice.state === 'resolved') delete this.book.threads[place];
    else if (sent.thread !== undefined) this.book.threads[place] ??= sent.thread;
    // Told here after all: what was not told before needs no more mention.
    this.book.undelivered = this.book.undelivered.filter((one) => one.channel !== channel || one.key !== notice.key);
    if (sent.refused && sent.refused.length > 0)
      this.note(
        out,
        { message: `not to ${sent.refused.join(', ')}: refused`, hint: 'Correct those addresses in the plan.' },
        at,
      );
  }

  failed(out: Outgoing, problem: Problem, at: number): void {
    const { channel, notice } = out;
    const place = placeOf(channel, notice.key);
    this.done(out);
    if (notice.state === 'resolved') delete this.book.threads[place];
    this.note(out, problem, at);
    // As long as it is open, the channel is tried again: the cause may have been fixed.
    if (this.book.open.some(({ key }) => key === notice.key) && this.book.due[place] !== undefined)
      this.book.due[place] = Math.min(this.book.due[place], at + this.pace.again * 1000);
  }

  private note({ channel, notice }: Outgoing, { message, hint }: Problem, at: number): void {
    const { key, state, title } = notice;
    const others = this.book.undelivered.filter(
      (one) => one.channel !== channel || one.key !== key || one.state !== state,
    );
    const one: Undelivered = {
      channel,
      key,
      state,
      title,
      at: new Date(at).toISOString(),
      why: message,
      ...(hint ? { hint } : {}),
    };
    this.book.undelivered = [...others, one].slice(-kept);
  }

  private done(out: Outgoing): void {
    this.book.outgoing = this.book.outgoing.filter((one) => one !== out);
  }

  /**
   * Behind the one of the same alert that is on its way there now, which stays; of those that only wait the last one
   * counts. So an alert that comes and goes while a channel is down does not fill it with old news.
   */
  private post(channel: string, notice: Notice, at: number): void {
    const same = (one: Outgoing) => one.channel === channel && one.notice.key === notice.key;
    const [first, ...waiting] = this.book.outgoing.filter(same);
    this.book.outgoing = this.book.outgoing.filter((one) => !waiting.includes(one));
    if (first?.notice.state === notice.state && first.notice.severity === notice.severity) return;
    this.book.outgoing.push({ channel, notice, until: at + this.pace.patience * 1000 });
  }

  private notice({ key, severity, title, text }: Alert, state: Notice['state'], at: number, says = text): Notice {
    return { key, severity, title, text: says, state, at: new Date(at).toISOString(), system: this.system };
  }

  /** Where it was told. */
  private placesOf(key: string): string[] {
    return Object.keys(this.book.due).filter((place) => keyOf(place) === key);
  }
}

/** Due since ever. */
const anew = 0;

const hostKey = (host: string): string => `host/${host}`;
// Names of channels have no space.
const placeOf = (channel: string, key: string): string => `${channel} ${key}`;
const channelOf = (place: string): string => place.slice(0, place.indexOf(' '));
const keyOf = (place: string): string => place.slice(place.indexOf(' ') + 1);
