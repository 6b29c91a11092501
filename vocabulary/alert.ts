/** What is wrong now, and who is told of it. */

/** critical: somebody is woken (PagerDuty); warning: it can wait for the morning. */
export type Severity = 'critical' | 'warning';

/**
 * Something that is wrong now. Its key is what it is known by: raised again under the same key it is the same alert.
 */
export interface Alert {
  /** `backup/logical/main`, `late/physical/main/full`, `space/onsite`. */
  key: string;
  severity: Severity;
  /** One line. */
  title: string;
  /** What it means, and what to type next. */
  text: string;
}

/** What one channel is told of an alert. */
export interface Notice extends Alert {
  state: 'raised' | 'resolved';
  /** When the alert was raised or resolved, ISO 8601. */
  at: string;
  system: string;
  /** What the channel called the message of its raising: the answer goes there. */
  thread?: string;
  /** It was told before, and is still so. */
  reminder?: boolean;
  /** Of an incident: its title says by itself what has happened. */
  news?: boolean;
}

export interface SendRequest {
  /** Its name in `notifications` of the plan. */
  channel: string;
  notice: Notice;
}
export interface Sent {
  /** What the channel calls the message, where it has threads. */
  thread?: string;
  /** Of several recipients, these were refused. */
  refused?: string[];
}

export interface OpenAlert extends Alert {
  /** Since when, ISO 8601. */
  since: string;
  /** Who finds it: names of hosts; `''` is a workflow that told it, and will tell when it is over. */
  sources: string[];
}
/** A notice that a channel did not take. */
export interface Undelivered {
  channel: string;
  key: string;
  state: Notice['state'];
  title: string;
  at: string;
  why: string;
  hint?: string;
}
export interface AlertsNow {
  open: OpenAlert[];
  undelivered: Undelivered[];
  /** Notices that are on their way: the activities that send them. */
  sending: { channel: string; title: string; activity: string }[];
  /** When the hosts were last asked for trouble, ISO 8601; absent: not yet. */
  lastChecked?: string;
}

/** What `lifeboat alerts test` found of a channel. */
export interface TestedChannel {
  channel: string;
  delivered: boolean;
  why?: string;
  hint?: string;
}
