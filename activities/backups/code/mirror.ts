import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { progress } from '../../capability.js';
import type { HostContext } from '../../context.js';
import { exists, removeTree } from '../../files.js';
import { git, refsDigest } from './git.js';

export interface Bundle {
  repository: string;
  path: string;
  refs: number;
  /** {@link refsDigest} of what is in it. */
  sha256: string;
}

const home = (context: HostContext, component: string) => join(context.state, 'code', component);

/**
 * Brings a mirror of a repository up to date and writes a bundle of everything in it: all branches, tags and notes,
 * with their history. Undefined when the repository is empty, which git cannot bundle. Large files of LFS and
 * submodules are repositories of their own, and not in it.
 * Source: git-scm.com, git-clone --mirror, git-bundle.
 */
export async function bundleOf(
  context: HostContext,
  component: string,
  repository: string,
  url: string,
): Promise<Bundle | undefined> {
  progress({ what: `fetching ${repository}` });
  const mirror = await mirrorOf(context, component, repository, url);
  const { stdout } = await git(context, ['-C', mirror, 'for-each-ref', '--count=1']);
  if (stdout === '') return undefined;
  const path = join(home(context, component), `${repository}.bundle`);
  await rm(path, { force: true });
  progress({ what: `bundling ${repository}` });
  await git(context, ['-C', mirror, 'bundle', 'create', '--quiet', path, '--all'], {
    ledger: `bundle-${component}-${repository}`,
  });
  return { repository, path, ...(await checkBundle(context, mirror, path)) };
}

/**
 * Whether a bundle is whole and needs nothing beside it, and what is in it. `within`: any repository; git wants to
 * stand in one.
 */
export async function checkBundle(
  context: HostContext,
  within: string,
  path: string,
): Promise<{ refs: number; sha256: string }> {
  await git(context, ['-C', within, 'bundle', 'verify', '--quiet', path]);
  const { stdout } = await git(context, ['-C', within, 'bundle', 'list-heads', path]);
  return refsDigest(stdout.split('\n'));
}

async function mirrorOf(context: HostContext, component: string, repository: string, url: string): Promise<string> {
  const folder = home(context, component);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Another address is another repository.
  const mirror = join(folder, `${repository}-${createHash('sha256').update(url).digest('hex').slice(0, 8)}.git`);
  const ledger = `mirror-${component}-${repository}`;
  if (await exists(mirror)) {
    const why = await update(context, mirror, url, ledger).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!why) return mirror;
    // When the repository itself cannot be reached, its mirror is not to blame.
    await git(context, ['ls-remote', '--quiet', '--', url]).catch(() => {
      throw why as Error;
    });
  }
  const part = `${mirror}.part`;
  await removeTree(part);
  await git(context, ['clone', '--quiet', '--mirror', '--no-hardlinks', '--', url, part], { ledger });
  await removeTree(mirror);
  await rename(part, mirror);
  return mirror;
}

async function update(context: HostContext, mirror: string, url: string, ledger: string): Promise<void> {
  await removeLocks(mirror);
  await git(context, ['-C', mirror, 'fetch', '--quiet', '--prune', '--force', 'origin', '+refs/*:refs/*'], { ledger });
  // Which branch is checked out by default is not fetched with the others.
  const { stdout } = await git(context, ['ls-remote', '--symref', '--', url, 'HEAD']);
  const head = /^ref: (refs\/heads\/\S+)\s+HEAD$/m.exec(stdout)?.[1];
  if (head) await git(context, ['-C', mirror, 'symbolic-ref', 'HEAD', head]);
}

/** A fetch that was killed leaves its lock files, and nothing but us works in here. */
async function removeLocks(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && entry.name !== 'objects') await removeLocks(path);
    if (entry.isFile() && entry.name.endsWith('.lock')) await rm(path, { force: true });
  }
}
