import { join } from 'node:path';
import { readFile } from '../files.js';
import type { Cluster } from '../postgres/cluster.js';
import { evidenceDirectory } from '../postgres/evidence.js';
import { repositoryInfo } from './engines.js';
import { readable, recordsOf } from './physical-records.js';

/**
 * Where the WAL itself carries the damage, every restore to the latest moment is rejected, from whichever backup. What
 * may be clean is the moment before the first sign of it in the evidence that was saved before anybody assessed; and
 * the end of the newest backup, whose own WAL is short. Returns what on-call types, or undefined when there is no
 * backup at all.
 */
export async function cleanerTarget(cluster: Cluster, incident: string): Promise<string | undefined> {
  const { backups } = await repositoryInfo(cluster);
  const records = await recordsOf(cluster, [...new Set(backups.map(({ location }) => location))]);
  const sound = backups.filter(
    ({ label, location, pageErrors }) => !pageErrors && !readable(records.get(location)?.get(label))?.damaged,
  );
  const sign = await firstSign(cluster, incident);
  // A second before it: it was found then, and was there a little earlier.
  const before = sign && new Date(sign.getTime() - 1000);
  const earlier = before ? sound.filter(({ stoppedAt }) => stoppedAt * 1000 < before.getTime()) : sound;
  const newest = earlier[0] ?? sound[0];
  if (!newest) return undefined;
  const backup = `lifeboat decide restore --to ${newest.label} (the end of that backup)`;
  if (!before || earlier.length === 0) return backup;
  return `lifeboat decide restore --to ${before.toISOString()} (before the first sign of damage); if that is rejected too: ${backup}`;
}

/**
 * Classes of SQLSTATE: XX001 and XX002, data and index corrupted. Of a log that names them (%e, csvlog, jsonlog), and
 * in UTC: text is not believed.
 */
async function firstSign(cluster: Cluster, incident: string): Promise<Date | undefined> {
  const saved = (name: string) =>
    readFile(join(evidenceDirectory(cluster.context, incident), `${cluster.database}-${name}`), 'utf8').catch(() => '');
  const [log, counted] = await Promise.all([saved('server-log.txt'), saved('checksum-failures.json')]);
  const logged = log
    .split('\n')
    .filter((line) => /\bXX00[12]\b/.test(line))
    .map((line) => /(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:UTC|GMT))/.exec(line)?.[1]);
  const failures = counted
    ? (JSON.parse(counted) as { checksum_last_failure: string | null }[]).map((row) => row.checksum_last_failure)
    : [];
  const moments = [...logged, ...failures]
    .flatMap((text) => (text ? [Date.parse(text)] : []))
    .filter((moment) => !Number.isNaN(moment));
  return moments.length > 0 ? new Date(Math.min(...moments)) : undefined;
}
