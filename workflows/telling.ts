import { CancellationScope, getExternalWorkflowHandle, ParentClosePolicy, startChild } from '@temporalio/workflow';
import { communicationsWorkflowId } from '../vocabulary/names.js';
import type { IncidentNews } from '../vocabulary/news.js';
import type { communications } from './communications.js';
import { newsSignal } from './messages.js';

/**
 * Hands news of an incident to the workflow that tells people of it, one after the other. Signals reach Temporal, and
 * no channel: that one is down holds nothing up.
 */
export class Telling {
  private said = '';
  private onItsWay: Promise<void> = Promise.resolve();

  /** `begun`: another run of the incident has begun to tell. */
  constructor(
    private readonly system: string,
    private readonly incident: string,
    private begun: boolean,
  ) {}

  /** Nothing is said twice. Returns at once. */
  tell(news: IncidentNews): void {
    const { at: _, ...says } = news;
    const saying = JSON.stringify(says);
    if (saying === this.said) return;
    this.said = saying;
    const first = !this.begun;
    this.begun = true;
    const before = this.onItsWay;
    const signal = () =>
      getExternalWorkflowHandle(communicationsWorkflowId(this.system, this.incident)).signal(newsSignal, news);
    // What is said of an end is said although the incident is being cancelled.
    this.onItsWay = CancellationScope.nonCancellable(async () => {
      await before;
      if (first) await this.begin();
      // An earlier run of it may have had nobody to tell.
      await signal().catch(async () => {
        await this.begin();
        await signal();
      });
    }).catch(() => undefined);
  }

  private async begin(): Promise<void> {
    await startChild<typeof communications>('communications', {
      workflowId: communicationsWorkflowId(this.system, this.incident),
      args: [{ system: this.system, incident: this.incident }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `people are told of ${this.incident}`,
    });
  }

  /** Temporal has all of it. Who is told by which channel is not waited for. */
  finished(): Promise<void> {
    return this.onItsWay;
  }
}
