import { lstat, mkdir, readdir, readlink, stat, symlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { checkpoint } from '../checkpoint.js';
import { exists, ownFor, readFile, removeTree, writeWhole } from '../files.js';
import { run } from '../run.js';
import { bin, type Cluster, dataOwner } from './cluster.js';
import { type Known, type KnownFile, knownFile, readKnown } from './known-configuration.js';
import { readConfigurationFile } from './note-cluster.js';

/**
 * How production is configured: found, put back when it is gone, and brought into a restored copy, which has that of
 * the day of its backup.
 */

/** Settings that only a recovery needs; they belong to the copy, or to nobody any more. */
export const ofRecovery = /^\s*(archive_mode\s*=\s*'?off|restore_command|recovery_target\w*)\b/;

/**
 * Where a server of `directory` finds its configuration: absolute paths. The plan's configFile names one outside of it
 * (Debian).
 */
const mainFile = (cluster: Cluster, directory = cluster.dataDirectory) =>
  cluster.plan.postgres.configFile ?? join(directory, 'postgresql.conf');

const isInside = (directory: string, path: string) => path.startsWith(`${directory}/`);

/**
 * Configuration files that the agent has seen in use and that are gone, with how they were. Of what lay in a data
 * directory that is gone itself there is nothing to put back: a restored copy gets it.
 */
async function goneFiles(cluster: Cluster): Promise<[string, KnownFile][]> {
  const known = await readKnown(cluster);
  if (known?.real !== cluster.dataDirectory) return [];
  const whole = await exists(join(cluster.dataDirectory, 'PG_VERSION'));
  const gone: [string, KnownFile][] = [];
  for (const [path, file] of Object.entries(known.files)) {
    const inside = isInside(known.dataDirectory, path) || isInside(known.real, path);
    if (basename(path) === 'postgresql.auto.conf' || (inside && !whole)) continue;
    if (!(await exists(path)) && (known.keptWith === undefined || (await mayBePut(cluster, known, path))))
      gone.push([path, file]);
  }
  return gone;
}

/**
 * Whoever can write at a location says what is kept there, and we may be root: outside of the data directory such a
 * file is put where the plan says that the configuration is, and where the owner of the data could put it.
 */
async function mayBePut(cluster: Cluster, { owner, real, dataDirectory }: Known, path: string): Promise<boolean> {
  const { configFile } = cluster.plan.postgres;
  if (
    [real, dataDirectory, ...(configFile ? [dirname(configFile)] : [])].some((directory) => isInside(directory, path))
  )
    return true;
  const parent = await stat(dirname(path)).catch(() => undefined);
  return parent !== undefined && parent.uid === (owner?.uid ?? process.getuid?.());
}

/** Files that are gone, and are named alone: see {@link mayBePut}. */
async function notPut(cluster: Cluster): Promise<string[]> {
  const known = await readKnown(cluster);
  if (known?.keptWith === undefined || known.real !== cluster.dataDirectory) return [];
  const names: string[] = [];
  for (const path of Object.keys(known.files))
    if (!(await exists(path)) && !(await mayBePut(cluster, known, path))) names.push(path);
  return names;
}

/** What {@link mendConfiguration} would put back: a line that on-call reads, or undefined. Changes nothing. */
export async function missingConfiguration(cluster: Cluster): Promise<string | undefined> {
  const [gone, left] = [await goneFiles(cluster), await notPut(cluster)];
  if (gone.length + left.length === 0) return undefined;
  const known = (await readKnown(cluster))!;
  return [
    ...(gone.length > 0
      ? [
          `configuration that is gone is put back as it was at ${known.configuredAt}: ${gone.map(([path, file]) => `${path}${leftOut(file)}`).join(', ')}`,
        ]
      : []),
    ...(left.length > 0
      ? [
          `configuration that is gone, and that only a backup says stood there, is for you to put back: ${left.join(', ')}; the text: ${knownFile(cluster)}`,
        ]
      : []),
  ].join('; ');
}

/**
 * Puts configuration files back that are gone, as the agent last saw them. Never over one that is there. Done twice, it
 * is done once.
 */
export async function mendConfiguration(cluster: Cluster): Promise<void> {
  for (const [path, file] of await goneFiles(cluster)) await place(path, file, 'putting configuration back');
}

const leftOut = ({ secretsLeftOut: count }: KnownFile): string =>
  count === undefined
    ? ''
    : ` (without ${count} ${count === 1 ? 'secret' : 'secrets'}, which a location without encryption does not keep: fill in removed-by-lifeboat)`;

async function place(path: string, { text, mode, owner, link }: KnownFile, what: string): Promise<void> {
  if (link !== undefined && (await exists(resolve(dirname(path), link)))) {
    await removeTree(path);
    await symlink(link, path);
    await checkpoint(`after ${what} as a link`);
    return;
  }
  // A link whose target is gone: what it led to is written in its place.
  if ((await lstat(path).catch(() => undefined))?.isSymbolicLink()) await removeTree(path);
  await writeWhole(path, text, { owner, mode, what });
}

/** What PostgreSQL itself makes of a setting, of the configuration of a directory. */
const asked = async (cluster: Cluster, setting: string, directory: string) =>
  run(
    await bin(cluster, 'postgres', directory),
    [
      '-C',
      setting,
      '-D',
      directory,
      '-c',
      `config_file=${mainFile(cluster, directory)}`,
      '-c',
      `data_directory=${directory}`,
    ],
    { owner: await dataOwner(cluster), accept: [1, 2] },
  );

/**
 * Why a server would not take production's configuration as it stands, as PostgreSQL itself says it; undefined when it
 * would. `directory`: whose settings of its own (postgresql.auto.conf) count.
 */
export async function configurationProblem(
  cluster: Cluster,
  directory = cluster.dataDirectory,
): Promise<string | undefined> {
  const owner = await dataOwner(cluster);
  const ask = (setting: string) => asked(cluster, setting, directory);
  const parsed = await ask('ssl');
  if (parsed.code !== 0)
    return (
      parsed.lines
        .filter((line) => /FATAL|LOG|ERROR|could not/.test(line))
        .slice(-2)
        .join(' | ') || `postgres -C ended with code ${parsed.code}`
    );
  const value = async (setting: string) => (await ask(setting)).stdout.trim().split('\n').at(-1) ?? '';
  const files = [
    'hba_file',
    'ident_file',
    ...(parsed.stdout.trim().endsWith('on') ? ['ssl_key_file', 'ssl_cert_file'] : []),
  ];
  for (const setting of files) {
    const path = resolve(directory, await value(setting));
    // As the owner, with whatever groups and directories are between: that is what the server will find.
    if ((await run('test', ['-r', path], { owner, accept: [1] })).code !== 0)
      return `${setting} cannot be read by the owner of the data: ${path}`;
  }
  return undefined;
}

/**
 * The files of a data directory's own configuration, by their names in it: the main ones, whatever they are called, and
 * whatever they include. Not postgresql.auto.conf. A directory of such files that is a link is named by itself: what is
 * in it lies elsewhere.
 */
async function ownFiles(cluster: Cluster): Promise<string[]> {
  const directory = cluster.dataDirectory;
  const found = new Set<string>();
  const add = (path: string): boolean => {
    const name = relative(directory, path);
    if (name.startsWith('..') || isAbsolute(name) || found.has(name)) return false;
    found.add(name);
    return true;
  };
  const visit = async (path: string): Promise<void> => {
    if (!(await exists(path)) || !add(path)) return;
    for (const line of (await readFile(path, 'utf8')).split('\n')) {
      const [, kind, quoted] =
        /^\s*(include_dir|include_if_exists|include)(?:\s*=\s*|\s+)('[^']*'|\S+)/.exec(line) ?? [];
      if (!kind || !quoted) continue;
      const at = resolve(dirname(path), quoted.replaceAll("'", ''));
      if (kind !== 'include_dir') await visit(at);
      else if ((await lstat(at).catch(() => undefined))?.isSymbolicLink()) add(at);
      else
        for (const each of (await readdir(at).catch(() => [])).sort())
          if (/^[^.].*\.conf$/.test(each)) await visit(join(at, each));
    }
  };
  if (cluster.plan.postgres.configFile === undefined) await visit(join(directory, 'postgresql.conf'));
  for (const setting of ['hba_file', 'ident_file']) {
    const path = resolve(directory, (await asked(cluster, setting, directory)).stdout.trim().split('\n').at(-1) ?? '');
    // By whichever of its names the directory is written there.
    const of =
      cluster.named !== undefined && isInside(cluster.named, path)
        ? join(directory, relative(cluster.named, path))
        : path;
    if (await exists(of)) add(of);
  }
  return [...found];
}

interface Source {
  /** As on-call reads it. */
  is: string;
  /** By their names in the data directory. */
  files: Record<string, KnownFile>;
}

/**
 * Today's configuration where it can be read and would be taken, else the last that the agent saw. Undefined: the
 * backup's own is all there is.
 */
async function sourceFor(cluster: Cluster): Promise<{ source?: Source; why?: string }> {
  const directory = cluster.dataDirectory;
  const whole = await exists(join(directory, 'PG_VERSION'));
  const problem = whole
    ? await configurationProblem(cluster).catch((error: unknown) => (error as Error).message)
    : 'it is gone';
  const auto = await readConfigurationFile(join(directory, 'postgresql.auto.conf'));
  if (problem === undefined && auto) {
    const files: Source['files'] = { 'postgresql.auto.conf': auto };
    for (const name of await ownFiles(cluster)) {
      const path = join(directory, name);
      const found = (await stat(path)).isDirectory() ? await linkedDirectory(path) : await readConfigurationFile(path);
      if (found) files[name] = found;
    }
    return { source: { is: "today's configuration", files } };
  }
  const why = problem ?? 'postgresql.auto.conf cannot be read';
  const known = await readKnown(cluster);
  if (known?.real !== directory || Object.keys(known.files).length === 0) return { why };
  const from = known.keptWith === undefined ? '' : `, kept with ${known.keptWith}`;
  return {
    source: { is: `the configuration as it was at ${known.configuredAt}${from}`, files: inDirectory(known) },
    why,
  };
}

/** A directory that is a link, as one: the same as a file that is. */
const linkedDirectory = async (path: string): Promise<KnownFile> => ({
  ...{ text: '', mode: 0o700, directory: true },
  link: await readlink(path),
});

const inDirectory = ({ files, real, dataDirectory }: Known): Source['files'] =>
  Object.fromEntries(
    Object.entries(files).flatMap(([path, file]) => {
      const of = [dataDirectory, real].find((directory) => isInside(directory, path));
      return of ? [[relative(of, path), file]] : [];
    }),
  );

/**
 * Brings production's configuration into a restored copy, which has that of the day of its backup: a leaver who was
 * shut out since would be let in again. What is a link stays one. Settings of a recovery stay out, and the copy
 * archives nothing until it takes production's place. Returns what is different from the backup, a line each; never
 * what stands in a file. Done twice, it is done once.
 */
export async function bringConfiguration(cluster: Cluster, copy: string): Promise<string[]> {
  const { source, why } = await sourceFor(cluster);
  const said = why === undefined ? [] : [`production's configuration cannot be used (${why})`];
  if (!source)
    return [
      ...said,
      "the configuration is the backup's own: look at postgresql.conf and pg_hba.conf before you approve",
    ];
  const changed: string[] = [];
  for (const [name, file] of Object.entries(source.files)) {
    const path = join(copy, name);
    const wanted =
      name === 'postgresql.auto.conf' ? { ...file, text: `${withoutRecovery(file.text)}archive_mode = 'off'\n` } : file;
    const now = await readConfigurationFile(path);
    if (now === undefined && wanted.link !== undefined && (await readlink(path).catch(() => undefined)) === wanted.link)
      continue;
    if (now && now.text === wanted.text && now.link === wanted.link) continue;
    if (wanted.directory) {
      await place(path, wanted, 'bringing configuration');
      changed.push(`${name} (a link to ${wanted.link ?? ''})`);
      continue;
    }
    const lines = differing(name, now?.text ?? '', wanted.text);
    const owner = await dataOwner(cluster);
    if (!(await exists(dirname(path)))) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await ownFor(dirname(path), owner);
    }
    await place(path, wanted, 'bringing configuration');
    if (lines > 0 || now?.link !== wanted.link)
      changed.push(
        `${name} (${[...(now ? [] : ['not in the backup']), `${lines} ${lines === 1 ? 'line differs' : 'lines differ'}`, ...(wanted.link ? [`a link to ${wanted.link}`] : [])].join(', ')})${leftOut(wanted)}`,
      );
  }
  return [
    ...said,
    ...(changed.length > 0 || said.length > 0
      ? [`${source.is} is kept, and not that of the backup: ${changed.join(', ') || 'nothing differs'}`]
      : []),
  ];
}

const withoutRecovery = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '' && !ofRecovery.test(line))
    .map((line) => `${line}\n`)
    .join('');

/** How many lines stand in one text and not in the other; comments, and what only a recovery needs, do not count. */
function differing(name: string, one: string, other: string): number {
  const telling = (text: string) =>
    new Set(
      text
        .split('\n')
        .map((line) => line.trim())
        .filter(
          (line) => line !== '' && !line.startsWith('#') && !(name === 'postgresql.auto.conf' && ofRecovery.test(line)),
        ),
    );
  const [a, b] = [telling(one), telling(other)];
  return [...a].filter((line) => !b.has(line)).length + [...b].filter((line) => !a.has(line)).length;
}
