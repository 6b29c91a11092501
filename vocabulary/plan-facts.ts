import type { ComponentFacts } from './component.js';

/** What a workflow needs to know of the plan: names and numbers. */
export interface PlanFacts {
  database: string;
  databaseName: string;
  /** The host that it is a primary on: the plan's, until its hosts were asked. */
  primary: string;
  /** The other hosts that follow it, or are meant to. */
  standbys: string[];
  /** The primary by the plan, when another host is it. */
  planned?: string;
  /** The services that write to the database, and the hosts of each. */
  services: { name: string; hosts: string[] }[];
  hosts: string[];
  objectives: { rtoSeconds: number; rpoSeconds: number };
  /** The database and its services; absent: the control worker is older than that. */
  components?: ComponentFacts[];
  /** The plan has channels, over which people are told. */
  tells?: boolean;
  /** 2: who declared the incident may not approve it. */
  approvals: number;
  planDigest: string;
  summary: string;
}
