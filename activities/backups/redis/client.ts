import { type HostContext, secretOf } from '../../context.js';
import { failure } from '../../errors.js';
import { run } from '../../run.js';
import { redisOf } from './plan.js';

/** Asks a Redis server, by `redis-cli` of the host. Its password goes by environment (REDISCLI_AUTH). */
export type Ask = (...words: string[]) => Promise<string[]>;

/**
 * The server of the plan on this host. What it answers, line by line. Throws CommandFailed with its words when it
 * refuses.
 */
export function redisClient(context: HostContext, component: string): Ask {
  const { port, password } = redisOf(context, component);
  return async (...words) =>
    ask(
      `Redis ${component} on ${context.host}`,
      ['-h', '127.0.0.1', '-p', String(port)],
      words,
      password && (await secretOf(context, password)),
    );
}

/** A scratch server behind a socket. */
export const socketClient =
  (socket: string): Ask =>
  (...words) =>
    ask('the scratch Redis server', ['-s', socket], words);

async function ask(who: string, where: string[], words: string[], password?: string): Promise<string[]> {
  const { code, lines } = await run('redis-cli', [...where, '--no-auth-warning', ...words], {
    env: password ? { REDISCLI_AUTH: password } : {},
    accept: [1],
    timeout: 60_000,
  });
  // An error is an answer like any other to redis-cli before 7.0: exit code 0.
  const error = lines.find((line) =>
    /^(AUTH failed: |\(error\) )?(ERR|NOAUTH|NOPERM|WRONGPASS|LOADING|MISCONF|BUSY|Could not connect|Error:)/.test(
      line,
    ),
  );
  if (code === 0 && !error) return lines;
  const said = error ?? lines.join(' | ').slice(0, 300);
  const refused = /NOAUTH|WRONGPASS|NOPERM|AUTH failed/.test(said);
  throw failure(
    refused ? 'BadRequest' : 'CommandFailed',
    `${who} refuses ${words.slice(0, 3).join(' ')}: ${said}`,
    refused ? 'Correct its password in the plan, or what its user may do.' : 'Does it run? Then retry.',
  );
}

/** The fields of INFO. */
export async function info(ask: Ask, section: string): Promise<Record<string, string>> {
  const lines = (await ask('INFO', section)).map((line) => line.trim()).filter((line) => line.includes(':'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** CONFIG GET of one name; empty when it has none. */
export const setting = async (ask: Ask, name: string): Promise<string> => (await ask('CONFIG', 'GET', name))[1] ?? '';
