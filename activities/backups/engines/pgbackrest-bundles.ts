import { progress } from '../../capability.js';
import type { Cluster } from '../../postgres/cluster.js';
import type { EngineVerification } from '../engine.js';
import { pgbackrest } from './pgbackrest-config.js';

type Damaged = EngineVerification['damaged'];

/**
 * Damage as a location names it. `pgbackrest verify` names files of the database; in an object store they lie in
 * bundles, many in one, and each backup's manifest says in which (`bni`). Of a bundle that is gone every file has a
 * line: one remains, with how many others there are.
 * Source: pgbackrest.org/user-guide.html, "File Bundling"; src/info/manifest.c of pgBackRest 2.45,
 * MANIFEST_KEY_BUNDLE_ID.
 */
export async function namedByBundle(cluster: Cluster, repository: string, damaged: Damaged): Promise<Damaged> {
  const bundles = new Map<string, Map<string, string>>();
  const prefix = (label: string) => `backup/${cluster.stanza}/${label}/`;
  const isData = ({ label, file }: Damaged[number]) => label !== '' && file.startsWith(`${prefix(label)}pg_`);
  for (const label of new Set(damaged.filter(isData).map((one) => one.label)))
    bundles.set(label, await bundlesOf(cluster, repository, label));
  const found = new Map<string, Damaged[number] & { others: number }>();
  for (const one of damaged) {
    const path = one.file.slice(prefix(one.label).length);
    const bundle = isData(one) ? bundles.get(one.label)?.get(withoutSuffix(path)) : undefined;
    const file = bundle === undefined ? one.file : `${prefix(one.label)}bundle/${bundle}`;
    const key = `${one.label} ${bundle === undefined ? `${one.file} ${one.why}` : file}`;
    const before = found.get(key);
    if (before) before.others += 1;
    else
      found.set(key, {
        ...one,
        file,
        why: bundle === undefined ? one.why : `${one.why}: ${withoutSuffix(path)} in it`,
        others: 0,
      });
  }
  return [...found.values()].map(({ others, why, ...one }) => ({
    ...one,
    why: others > 0 && one.file.includes('/bundle/') ? `${why}, and ${others} more` : why,
  }));
}

/** How pgBackRest names what it compressed. */
const withoutSuffix = (path: string): string => path.replace(/\.(gz|zst|lz4|bz2)$/, '');

/**
 * The files of a backup that are in a bundle of its own, and in which. Empty when its manifest cannot be read: that is
 * found elsewhere.
 */
async function bundlesOf(cluster: Cluster, repository: string, label: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  progress({ what: `looking up what lies where in ${label}` });
  await pgbackrest(
    cluster,
    [
      repository,
      '--log-level-console=off',
      '--log-level-stderr=error',
      'repo-get',
      `backup/${cluster.stanza}/${label}/backup.manifest`,
    ],
    {
      accept: [29, 39, 42, 55, 95],
      discard: true,
      onLine: (line) => {
        const [, path, bundle] = /^(pg_[^=]+)=\{"bni":(\d+),/.exec(line) ?? [];
        if (path && bundle && !line.includes('"reference":')) found.set(path, bundle);
      },
    },
  );
  return found;
}
