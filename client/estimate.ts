import { drillCommand } from '../vocabulary/scenario.js';
import { formatBytes, formatDuration } from '../vocabulary/units.js';
import type { Lifeboat } from './lifeboat.js';
import { settled } from './incident.js';

/**
 * What a recovery would take: from the newest run that restored, scaled by today's size. Says so when no run was
 * measured.
 */
export async function estimateRto(lifeboat: Lifeboat, database: string, bytes: number | undefined): Promise<string> {
  for (const { workflowId, runId } of (await lifeboat.incidents()).slice(0, 10)) {
    const { Incident } = await import('./incident.js');
    const state = await new Incident(lifeboat.temporal, workflowId, runId).state().catch(() => undefined);
    if (!state || state.database !== database || !settled(state.phase) || state.measured.rtoSeconds === null) continue;
    const objective = lifeboat.plan.plan.databases[database]?.objectives?.rto ?? lifeboat.plan.plan.objectives.rto;
    const seconds = state.measured.rtoSeconds;
    const size = bytes === undefined ? '' : `, ${formatBytes(bytes)} today`;
    return `RTO estimate: ${formatDuration(seconds)}, measured by ${state.id}${size}; objective ${formatDuration(objective)}${seconds > objective ? ': NOT MET' : ''}`;
  }
  return `RTO estimate: none, since nothing was measured yet. Measure it: ${drillCommand}`;
}
