import { type ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { failure, isFailure } from '../errors.js';

/**
 * What an error of PostgreSQL says of the data, by its SQLSTATE alone: messages come in the language of the server.
 * Source: PostgreSQL manual, appendix A.
 */

/**
 * The SQLSTATE of an error, also of one that {@link connect} has wrapped; '' when it has none (a connection that broke
 * off).
 */
function sqlstate(error: unknown): string {
  const from = isFailure(error, 'ServerFailed') ? error.details?.[0] : error;
  const { code } = (from ?? {}) as { code?: unknown };
  // Node's own codes (EPIPE, ECONNRESET) begin with an E, as no class does.
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : '';
}

/** XX: internal error, data or index corrupted. 58: a file that is missing or cannot be read. */
export const isDamage = (error: unknown): boolean => /^(XX|58)/.test(sqlstate(error));

/** A table, schema, column or function that the plan names and the database does not have. */
export const isMissing = (error: unknown): boolean => ['42P01', '3F000', '42703', '42883'].includes(sqlstate(error));

/** invalid_catalog_name: there is no such database. */
export const isNoDatabase = (error: unknown): boolean => sqlstate(error) === '3D000';

/** lock_not_available: somebody holds it for longer than we wait. */
export const isLocked = (error: unknown): boolean => sqlstate(error) === '55P03';

/**
 * The host, its settings or the connection kept us from looking, whatever was looked at: no connection (08, or no code
 * at all), read only (25006), no right (28, 42501), no memory, disk or connection left (53), cancelled or shut down
 * (57).
 */
const isOfTheHost = (error: unknown): boolean => /^(|08...|25006|28...|42501|53...|57...)$/.test(sqlstate(error));

/**
 * The failure of a check that could not look: it says nothing of the data or of a backup, so no other one is tried for
 * it.
 */
export const cannotLook = (what: string, error: unknown, host: string): ApplicationFailure =>
  failure(
    'CannotLook',
    `${what} could not be checked: ${(error as Error).message}`,
    `Nothing is said of the data by that: fix the cause on ${host} (settings, memory, disk, connections), then: lifeboat decide retry`,
    { code: sqlstate(error) },
  );

/**
 * What the error of one check means: damage, or something not checked; throws CannotLook when the host is the cause.
 */
export function judge(what: string, error: unknown, host: string): { damage: string } | { notChecked: string } {
  const message = (error as Error).message;
  // A cancellation, or a failure of ours that says more than an error of SQL does.
  if (error instanceof TemporalFailure && sqlstate(error) === '') throw error;
  if (isDamage(error)) return { damage: message };
  if (isOfTheHost(error)) throw cannotLook(what, error, host);
  return { notChecked: message };
}
