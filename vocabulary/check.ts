/** What doctor looked at, and what it found. */

export interface DoctorInput {
  system: string;
  database: string;
  planDigest: string;
}
export interface Check {
  what: string;
  host?: string;
  result: 'pass' | 'warn' | 'fail';
  says: string;
  hint?: string;
}
export interface DoctorResult {
  checks: Check[];
  /** Bytes of each database on its primary. */
  bytes: Record<string, number>;
}
