import { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { NativeConnection } from '@temporalio/worker';
import type { AlertsNow } from '../vocabulary/alert.js';
import type { IncidentState } from '../vocabulary/incident.js';
import { alertsWorkflowId, drillWorkflowId, incidentWorkflowId } from '../vocabulary/names.js';
import { connectionSettings } from './connect.js';
import type { Gauges } from './metrics.js';
import { repeat } from './repeat.js';

const everySeconds = 10;

/** Measures, until the signal, how incidents and alerts of a system stand. What cannot be asked has no value. */
export async function measureIncidents(
  system: string,
  connection: NativeConnection,
  gauges: Gauges,
  signal: AbortSignal,
): Promise<void> {
  const { workflow } = new Client({ connection, namespace: connectionSettings().namespace });
  const running = async (workflowId: string): Promise<IncidentState | undefined> => {
    const handle = workflow.getHandle(workflowId);
    const { status } = await handle.describe();
    return status.name === 'RUNNING' ? handle.query<IncidentState>('state') : undefined;
  };
  await repeat(everySeconds, signal, async () => {
    for (const mode of ['real', 'drill'] as const) {
      const workflowId = mode === 'real' ? incidentWorkflowId(system) : drillWorkflowId(system);
      const state = await running(workflowId).catch((error: unknown) =>
        // One that was never declared is no workflow. What cannot be asked may well be open.
        error instanceof WorkflowNotFoundError ? undefined : ('not known' as const),
      );
      const known = state === 'not known' ? undefined : state;
      gauges.set('lifeboat_incidents_open', state === 'not known' ? NaN : state ? 1 : 0, { mode });
      gauges.set('lifeboat_questions_open', state === 'not known' ? NaN : (state?.questions.length ?? 0), { mode });
      if (mode === 'real') gauges.set('lifeboat_incident_rto_left_seconds', known ? rtoLeft(known) : NaN, {});
    }
    const alerts = await workflow
      .getHandle(alertsWorkflowId(system))
      .query<AlertsNow>('alerts')
      .catch(() => undefined);
    for (const severity of ['critical', 'warning'])
      gauges.set('lifeboat_alerts_open', alerts ? alerts.open.filter((one) => one.severity === severity).length : NaN, {
        severity,
      });
  });
}

/** Seconds; of one that has recovered, what was left. */
function rtoLeft({ declaredAt, objectives, measured }: IncidentState): number {
  return objectives.rtoSeconds - (measured.rtoSeconds ?? (Date.now() - Date.parse(declaredAt)) / 1000);
}
