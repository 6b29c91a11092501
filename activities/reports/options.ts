export interface ReportOptions {
  /** The moment at which the report is written: open steps are measured up to it. */
  now: Date;
  /** The timezone of the plan, shown beside UTC. */
  timezone?: string;
  /** Address of the incident's page in the Temporal UI: http or https. */
  temporalUi?: string;
}
