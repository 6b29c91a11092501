import type { Candidate } from '../../activities/backups/candidates.js';
import { findingsOf, isFailureOf, StepFailed } from '../failure.js';
import type { At } from '../step.js';

/**
 * Goes to the next backup when one turns out damaged; the last one's damage is the failure of the step. The same damage
 * out of two backups is in what both share: the WAL, or they were taken after it. Then only the oldest one can tell,
 * and what lies between is not tried: each is a restore of hours.
 */
export async function firstThatHolds<T>(
  at: At,
  candidates: Candidate[],
  work: (candidate: Candidate) => Promise<T>,
): Promise<T> {
  const seen = new Map<string, string>();
  const oldest = candidates.at(-1)?.label;
  let shared: string | undefined;
  for (const [index, candidate] of candidates.entries()) {
    if (shared !== undefined && candidate.label !== oldest) continue;
    try {
      const result = await work(candidate);
      at.state.backup = { label: candidate.label, location: candidate.location, takenAt: candidate.takenAt };
      return result;
    } catch (error) {
      const damaged = isFailureOf(error, 'BackupDamaged', 'VerificationFailed');
      if (!damaged) throw error;
      at.warn(`${candidate.label} at ${candidate.location} was not used: ${damaged}`);
      const findings = findingsOf(error);
      if (shared !== undefined && findings.includes(shared)) {
        at.warn(
          `the oldest backup shows the same damage (${shared}): it is in the WAL, and an earlier target is needed`,
        );
        throw error;
      }
      if (index === candidates.length - 1) throw error;
      shared ??= findings.find((finding) => (seen.get(finding) ?? candidate.label) !== candidate.label);
      if (shared !== undefined) {
        if (candidate.label === oldest) throw error;
        at.warn(
          `${seen.get(shared)} and ${candidate.label} show the same damage (${shared}): only the oldest backup is tried yet`,
        );
      }
      for (const finding of findings) if (!seen.has(finding)) seen.set(finding, candidate.label);
    }
  }
  throw new StepFailed('NoBackup', 'no backup was listed');
}
