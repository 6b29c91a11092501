import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild } from '@temporalio/workflow';
import { drillWorkflowId, workflowTypeOf } from '../vocabulary/names.js';
import { priority } from '../vocabulary/priority.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import { incidentAttributes } from './search-attributes.js';

/**
 * What a schedule starts. Temporal adds the time to the workflow ID of whatever a schedule starts; the drill itself
 * must have the one ID that is the lock of drills, and by which it is found, answered and ended.
 */
export async function scheduledDrill(input: IncidentInput): Promise<string> {
  try {
    await startChild(workflowTypeOf(input.scenario), {
      workflowId: drillWorkflowId(input.system),
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      typedSearchAttributes: incidentAttributes(input),
      priority: priority.drill,
      staticSummary: `${input.scenario} of ${input.database} (drill), by its schedule`,
    });
    return 'the drill has begun';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'a drill runs already: this one was left out';
    throw error;
  }
}
