import { activity, looking } from './capability.js';
import type { ControlContext } from './context.js';
import { readComponent } from './read-component.js';
import { checkChannels, readChannels, sendNotice } from './notifications/channels.js';
import { readPlan } from './read-plan.js';
import { writeReport } from './reports/write.js';
import { checkHealth, watchServices } from './services/health.js';

/** What the control worker does: it reads its own copy of the plan, asks services from outside, and writes reports. */
export function createControlActivities(context: ControlContext) {
  return {
    readPlan: activity(looking(readPlan(context))),
    readComponent: activity(looking(readComponent(context))),
    checkHealth: activity(checkHealth(context.plan)),
    watchServices: activity(watchServices(context.plan)),
    readChannels: activity(looking(readChannels(context))),
    checkChannels: activity(looking(checkChannels(context))),
    sendNotice: sendNotice(context),
    writeReport: activity(looking(writeReport(context))),
  };
}

export type ControlActivities = ReturnType<typeof createControlActivities>;
