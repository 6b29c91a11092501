/** What stays open after a recovery until someone closes the incident. */
export const postRecoveryTasks = [
  { name: 'root-cause', text: 'Find the root cause' },
  { name: 'document-update', text: 'Update the plan and the procedures' },
  { name: 'debrief', text: 'Hold the debrief with the team' },
  { name: 'improvement', text: 'Put the improvement in place' },
  { name: 'customer-report', text: 'Write the report for customers' },
] as const;
