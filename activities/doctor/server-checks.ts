import { access, constants } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Check } from '../../vocabulary/check.js';
import { formatDuration } from '../../vocabulary/units.js';
import { hasSetpriv } from '../as-owner.js';
import { libraryThatArchives } from '../backups/protect.js';
import { claimedBy } from '../postgres/claim.js';
import { type Cluster, dataOwner } from '../postgres/cluster.js';
import { one, withClient } from '../postgres/connect.js';
import { isClosed } from '../postgres/fence.js';
import { run } from '../run.js';

type Said = string | Pick<Check, 'result' | 'says' | 'hint'>;

/** What is looked at on the primary of a database, with the hint for when it cannot be looked at. */
export const serverChecks = (cluster: Cluster): { what: string; hint: string; look: () => Promise<Said> }[] => [
  {
    what: 'canary',
    hint: 'Read the log of the agent of this host: it beats every two seconds.',
    look: () => canaryCheck(cluster),
  },
  ...(cluster.plan.backups.physical
    ? [{ what: 'archive library', hint: 'Start the server.', look: () => libraryCheck(cluster) }]
    : []),
  { what: 'databases', hint: 'Start the server.', look: () => databasesCheck(cluster) },
  { what: 'prepared transactions', hint: 'Start the server.', look: () => preparedCheck(cluster) },
  { what: 'rights of the owner', hint: 'Look at the state directory of this host.', look: () => ownerCheck(cluster) },
];

/** It beats every two seconds: after so many without one (seconds) something keeps it from it. */
const canaryAllowed = 30;

async function canaryCheck(cluster: Cluster): Promise<Said> {
  const holder = await claimedBy(cluster);
  if (holder || (await isClosed(cluster)))
    return `none is written while an incident holds the database${holder ? ` (${holder})` : ''}`;
  const hint = 'The agent of this host makes it and beats: is it started, and what does its log say? lifeboat agent';
  // One that was started just now has not made it yet.
  for (let left = 20; ; left -= 1) {
    const age = await withClient(cluster, {}, async (client) =>
      (await one<boolean>(client, `select to_regclass('lifeboat.canary') is not null`))
        ? one<string>(
            client,
            'select extract(epoch from clock_timestamp() - ts)::text from lifeboat.canary where id = 1',
          )
        : undefined,
    );
    if (age !== undefined && Number(age) <= canaryAllowed)
      return `beat ${formatDuration(Math.max(0, Number(age)))} ago`;
    if (left === 0)
      return {
        result: 'fail',
        says:
          age === undefined
            ? 'there is none: no recovery could say what was lost, and none to a target time would find its end'
            : `the last beat is ${formatDuration(Number(age))} old: a recovery could not say what was lost since`,
        hint,
      };
    await pause(500);
  }
}

async function libraryCheck(cluster: Cluster): Promise<Said> {
  const library = await withClient(cluster, { database: 'postgres' }, libraryThatArchives);
  if (library === undefined) return 'none: archive_command archives';
  return {
    result: 'fail',
    says: `archive_library is ${library}: PostgreSQL asks it and not archive_command, and no WAL comes to the locations`,
    hint: 'alter system reset archive_library, take it out of postgresql.conf, then: select pg_reload_conf()',
  };
}

/** Source: PostgreSQL manual, pg_database: a limit of -2 is what an interrupted DROP DATABASE leaves. */
async function databasesCheck(cluster: Cluster): Promise<Said> {
  const { rows } = await withClient(cluster, { database: 'postgres' }, (client) =>
    client.query<{ name: string; broken: boolean }>(
      `select datname as name, datconnlimit = -2 as broken from pg_database
       where datname <> 'template0' and (not datallowconn or datconnlimit in (0, -2)) order by 1`,
    ),
  );
  const broken = rows.filter((row) => row.broken).map(({ name }) => name);
  if (broken.length > 0)
    return {
      result: 'warn',
      says: `left by a DROP DATABASE that was interrupted: ${broken.join(', ')}`,
      hint: 'Nobody can connect there, and nothing in it is checked. Drop it: drop database NAME',
    };
  if (rows.length > 0)
    return {
      result: 'warn',
      says: `let nobody in: ${rows.map(({ name }) => name).join(', ')}`,
      hint: 'Nothing in them is checked after a restore. Drop what nobody needs; or: alter database NAME allow_connections true',
    };
  return 'all let somebody in';
}

/** A transaction is prepared for moments (seconds); one that is older was forgotten, and keeps its locks. */
const preparedAllowed = 600;

/** Prepared transactions that somebody forgot. `allowed`: seconds. */
export async function preparedCheck(cluster: Cluster, allowed = preparedAllowed): Promise<Said> {
  const { rows } = await withClient(cluster, { database: 'postgres' }, (client) =>
    client.query<{ gid: string; database: string; age: string }>(
      `select gid, database, extract(epoch from clock_timestamp() - prepared)::text as age from pg_prepared_xacts order by prepared`,
    ),
  );
  const old = rows.filter(({ age }) => Number(age) > allowed);
  if (old.length === 0) return rows.length === 0 ? 'none' : `${rows.length}, of a moment ago`;
  const [first] = old;
  return {
    result: 'warn',
    says: `${old.length} forgotten, the oldest in ${first!.database} for ${formatDuration(Number(first!.age))}: ${first!.gid}`,
    hint: "It keeps its locks, also in a restored copy. As its application says: commit prepared 'GID' or rollback prepared 'GID'",
  };
}

async function ownerCheck(cluster: Cluster): Promise<Said> {
  const { state } = cluster.context;
  const temporary = tmpdir();
  if (
    !(await access(temporary, constants.W_OK).then(
      () => true,
      () => false,
    ))
  )
    return {
      result: 'warn',
      says: `TMPDIR (${temporary}) cannot be written to`,
      hint: 'restic keeps its own files there: make it, or unset TMPDIR.',
    };
  const owner = await dataOwner(cluster);
  if (!owner) return 'the agent runs as the owner of the data';
  const enters = await run('test', ['-x', join(state, '.')], { owner, accept: [1] });
  if (enters.code !== 0)
    return {
      result: 'fail',
      says: `the owner of the data (user ${owner.uid}) cannot enter ${state}: no copy could be started`,
      hint: `chmod o+x each folder above it (namei -l ${state} shows them); or name another by LIFEBOAT_STATE_DIR.`,
    };
  if (!hasSetpriv())
    return {
      result: 'warn',
      says: 'programs run as the owner of the data without that user’s other groups: this host has no setpriv',
      hint: 'Install util-linux: a server whose key only a group may read (Debian: ssl-cert) is not started without it.',
    };
  return `user ${owner.uid}, with all groups of that user`;
}
