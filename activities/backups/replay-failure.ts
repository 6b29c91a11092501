/**
 * Whether a copy's server ended for what is in its files, by its own log: it is we who start it, and in English
 * (`lc_messages` is C). What the process that replays the WAL dies of is the backup's, unless it was killed or had no
 * memory, rights or room; what the postmaster itself cannot do (a library, a socket, memory, configuration) is the
 * host's, as is a server that did not end at all.
 * Source: PostgreSQL, src/backend/postmaster/postmaster.c, LogChildExit.
 */
export function endedByItsFiles(log: string[]): boolean {
  const begin = log.findLastIndex((line) => line.includes('starting PostgreSQL'));
  const said = log.slice(Math.max(0, begin));
  const fatal = said.filter((line) => /\] (FATAL|PANIC): /.test(line));
  if (fatal.some((line) => /control file|pg_control|not a valid data directory/.test(line))) return true;
  const [, pid, how, signal] =
    /startup process \(PID (\d+)\) (exited with exit code|was terminated by signal) (\d+)/.exec(
      said.findLast((line) => /startup process \(PID/.test(line)) ?? '',
    ) ?? [];
  if (pid === undefined || (how!.endsWith('signal') && ['9', '15'].includes(signal!))) return false;
  return !fatal.some(
    (line) =>
      line.includes(`[${pid}]`) && /out of memory|Permission denied|Too many open files|No space left/.test(line),
  );
}
