import picocolors from 'picocolors';
import { wrap } from '../client/view/columns.js';

/**
 * How the demo speaks: phases with a number, what is being done, what was found, the commands that a user would type.
 */
export interface Telling {
  /** Whether a person sits there: lines are rewritten, and keys are waited for. */
  live: boolean;
  phase(title: string): void;
  /** A paragraph, for somebody who sees this for the first time. */
  say(text: string): void;
  /** An empty line, after what somebody else has printed. */
  gap(): void;
  /** One fact that was just measured. */
  fact(text: string): void;
  /** Something that went wrong, on purpose or not. */
  bad(text: string): void;
  /** A command as a user types it. */
  command(line: string): void;
  /** Text that must stay on one line, to be copied: addresses, paths, commands. */
  copy(label: string, text: string): void;
  /** Says what is being done while it is done, and then what it gave and how long that took. */
  doing<T>(what: string, work: () => Promise<T>, result: (value: T) => string): Promise<T>;
}

export function createTelling(): Telling {
  const live = process.stdout.isTTY && process.stdin.isTTY;
  const { bold, cyan, dim, green, red } = picocolors.createColors(process.stdout.isTTY && !process.env['NO_COLOR']);
  const width = Math.min(process.stdout.columns || 100, 100);
  const begun = Date.now();
  let phases = 0;
  const print = (line = ''): boolean => process.stdout.write(`${line}\n`);
  const block = (text: string, first: string, rest: string): void =>
    wrap(text, width - rest.length).forEach((line, at) => print(`${at === 0 ? first : rest}${line}`));
  return {
    live,
    phase(title) {
      phases += 1;
      print(`\n${bold(`${phases}  ${title}`)}  ${dim(`${Math.round((Date.now() - begun) / 1000)} s`)}`);
    },
    say: (text) => block(text, '   ', '   '),
    gap: () => print(),
    fact: (text) => block(text, `   ${green('✔')} `, '     '),
    bad: (text) => block(text, `   ${red('✖')} `, '     '),
    command: (line) => print(`   ${dim('$')} ${bold(cyan(line))}`),
    copy: (label, text) => print(`   ${label}${label ? ' ' : ''}${bold(text)}`),
    async doing(what, work, result) {
      const since = Date.now();
      const line = `   ${cyan('▸')} ${what} ...`;
      if (live) process.stdout.write(line);
      else print(line);
      const erase = (): void => {
        if (live) process.stdout.write('\r\x1b[2K');
      };
      try {
        const value = await work();
        erase();
        block(`${result(value)} (${((Date.now() - since) / 1000).toFixed(1)} s)`, `   ${green('✔')} `, '     ');
        return value;
      } catch (error) {
        erase();
        print(`   ${red('✖')} ${what}`);
        throw error;
      }
    },
  };
}

/**
 * Waits for a key of a person. What was typed before the question is not an answer to it. Ctrl-C ends the program as it
 * always does.
 */
export async function key(): Promise<void> {
  const { stdin } = process;
  stdin.setRawMode(true);
  try {
    const earlier = Date.now() + 100;
    await new Promise<void>((resolve) => {
      const pressed = (data: Buffer): void => {
        if (data.includes(3)) process.kill(process.pid, 'SIGINT');
        else if (Date.now() > earlier) {
          stdin.off('data', pressed);
          resolve();
        }
      };
      stdin.on('data', pressed).resume();
    });
  } finally {
    stdin.pause();
    stdin.setRawMode(false);
  }
}
