/**
 * What `pg_restore --verbose` says of errors, in its own words, which are English (`LC_ALL=C`). Behind them stands what
 * the server says, and that may be anything: that an object failed is told by a line before it, which no object can
 * keep pg_restore from writing.
 * Source: PostgreSQL, pg_backup_archiver.c, warn_or_exit_horribly.
 */

export interface Failed {
  /** The number of its entry in the dump: the same in every restore of it. */
  id: string;
  /** As `pg_restore --list` names it: `TABLE DATA public orders app`. */
  what: string;
  why: string;
}

export interface Said {
  /** One for each object, in the order in which they failed. */
  failed: Failed[];
  /** Errors that were of no object's making. */
  others: number;
  /** Parameters that it set before any object, and that were refused. */
  refused: string[];
  /** It went on to its end. */
  ended: boolean;
}

/** Give `line` all that it prints. */
export function listen(): { line: (text: string) => void; said: () => Said } {
  const failed = new Map<string, Failed>();
  const refused: string[] = [];
  let errors = 0;
  /** Those whose "error: " has come before the message of another connection, and their own not yet. */
  let owed = 0;
  let ended = false;
  const hear = (part: string): void => {
    const [labels] = /^(?: *error:)* */.exec(part)!;
    const said = part.slice(labels.length);
    const count = labels.split('error:').length - 1;
    errors += count;
    owed += count;
    if (said === '') return;
    const entry = /^from TOC entry (\d+); \d+ \d+ (.*)$/.exec(said);
    if (entry) {
      const [, id, what] = entry as unknown as [string, string, string];
      if (!failed.has(id)) failed.set(id, { id, what, why: '' });
    } else if (/^warning: errors ignored on restore: \d+$/.test(said)) ended = true;
    else if (owed > 0 && !said.startsWith('Command was: ')) {
      owed -= 1;
      // Several connections write in turn: of the objects that failed, the first one whose error is still to come.
      const waiting = [...failed.values()].find(({ why }) => why === '');
      if (waiting) waiting.why = said.replace(/^could not execute query: /, '').slice(0, 300);
    }
  };
  return {
    line(text) {
      // pg_restore writes a message in parts ("pg_restore:", " ", "error: ", the rest), and with several connections
      // those of two come mixed.
      for (const part of text.split('pg_restore:')) hear(part);
      const setting = /^Command was: SET (\w+) = [^;]*;$/.exec(text);
      if (setting) refused.push(setting[1]!);
    },
    // With an object among them, errors are told with it; without any, all that is not a refused parameter is something
    // else.
    said: () => ({
      failed: [...failed.values()],
      others: failed.size > 0 ? 0 : errors - refused.length,
      refused,
      ended,
    }),
  };
}

export const inOneLine = ({ id, what, why }: Failed): string =>
  `${what} (number ${id} of the dump): ${why || 'it was not said why'}`;
