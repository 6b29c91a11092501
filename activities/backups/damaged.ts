import type { ApplicationFailure } from '@temporalio/common';
import { failure } from '../errors.js';
import type { Candidate } from './candidates.js';

/** This backup, at this location, cannot be used: the next one is tried. */
export function damaged(candidate: Candidate, reason: string): ApplicationFailure {
  return failure(
    'BackupDamaged',
    `backup ${candidate.label} at ${candidate.location} cannot be used: ${reason}`,
    'The next backup or location is tried.',
    { label: candidate.label, location: candidate.location },
  );
}
