import { ApplicationFailure } from '@temporalio/common';
import type { Plan } from '../../plan/schema.js';
import type { Notice, Sent } from '../../vocabulary/alert.js';
import { failure } from '../errors.js';

/** What a provider is built from: its part of the plan, and how it reads the plan's secrets. */
export interface ChannelContext {
  plan: Plan;
  secret: (reference: string) => Promise<string>;
}

/** Where people are told. One file for each, one line in channels.ts. */
export interface Channel {
  /** As it is called in `notifications` of the plan. */
  readonly name: string;
  /** It wakes people: it is told of what is critical, and of nothing else. */
  readonly onlyCritical?: boolean;
  /** Proves that a notice could be sent, and sends none. Returns what it found, for people. Throws as `send` does. */
  rehearse(): Promise<string>;
  /**
   * Sends one notice, whose texts hold no secrets any more. Throws NoticeRefused (trying again cannot help) or
   * NoticeUndelivered (it can). Killed between the sending and our knowing of it, a notice is sent a second time: twice
   * is better than never.
   */
  send(notice: Notice): Promise<Sent>;
}

/** A server that does not answer within this is away; milliseconds. */
export const answersWithin = 15_000;

/** `[shop] CRITICAL: ...`, `[shop] resolved: ...`: the one line that is read on a telephone. */
export function headline({ system, state, severity, title, reminder, news }: Notice): string {
  if (news) return `[${system}] ${title}`;
  const word =
    state === 'resolved'
      ? 'resolved'
      : `${severity === 'critical' ? 'CRITICAL' : 'warning'}${reminder ? ', still' : ''}`;
  return `[${system}] ${word}: ${title}`;
}

export const refused = (channel: string, why: string, hint: string) =>
  failure('NoticeRefused', `${channel} refuses the notice: ${why}`, `${hint} Then: lifeboat alerts test`);

/** `after`: seconds for which the channel asked to be left alone. */
export function undelivered(channel: string, why: string, hint: string, after?: number): ApplicationFailure {
  const failed = failure('NoticeUndelivered', `${channel} did not take the notice: ${why}`, hint);
  if (after === undefined) return failed;
  return ApplicationFailure.create({
    message: failed.message,
    type: 'NoticeUndelivered',
    details: failed.details ?? [],
    nextRetryDelay: Math.min(after, 3600) * 1000,
  });
}
