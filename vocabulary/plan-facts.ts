/** What a workflow needs to know of the plan: names and numbers. */
export interface PlanFacts {
  database: string;
  databaseName: string;
  primary: string;
  standbys: string[];
  /** The services that write to the database, and the hosts of each. */
  services: { name: string; hosts: string[] }[];
  hosts: string[];
  objectives: { rtoSeconds: number; rpoSeconds: number };
  /** 2: who declared the incident may not approve it. */
  approvals: number;
  planDigest: string;
  summary: string;
}
