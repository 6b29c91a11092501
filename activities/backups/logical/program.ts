import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { asOwner } from '../../as-owner.js';
import { cancelled } from '../../capability.js';
import { failure } from '../../errors.js';
import { type Owner, tail } from '../../run.js';

/** A program of PostgreSQL whose output (or input) is a stream. */
export interface Streaming {
  stdin: Writable;
  stdout: Readable;
  /**
   * Fulfilled when it ended with 0; rejected with CommandFailed, which says what it said, without secrets. Nobody has
   * to wait for it.
   */
  done: Promise<void>;
  /** Ends it and all that it started; it may have ended. */
  end(): void;
}

/**
 * Starts one, in a process group that ends with a cancelled activity, and with us: it finds its pipe closed. `onLine`:
 * each line of stderr.
 */
export function stream(
  command: string,
  args: string[],
  { owner, env, onLine }: { owner: Owner | undefined; env: Record<string, string>; onLine?: (line: string) => void },
): Streaming {
  const signal = cancelled();
  signal?.throwIfAborted();
  const as = asOwner(owner, command, args);
  const child = spawn(as.command, as.args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: process.env['HOME'] ?? '/', LC_ALL: 'C', ...env },
    ...as.identity,
  });
  const what = basename(command);
  const said: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    onLine?.(line);
    said.push(withoutSecrets(line, env));
    if (said.length > 200) said.shift();
  });
  // It may stop reading before we stop writing: pg_restore -l does.
  child.stdin.on('error', () => undefined);
  let gone = false;
  const end = () => {
    try {
      // Its number may be another's by then.
      if (child.pid && !gone) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  };
  signal?.addEventListener('abort', end);
  const missing = () =>
    failure('ToolMissing', `${what} is not on this host`, `Install it, then retry. Looked for ${command}.`);
  const done = new Promise<void>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? missing()
          : failure(
              'CommandFailed',
              `${what} could not be started: ${error.message}`,
              'Look at the log of the agent on this host.',
            ),
      ),
    );
    child.on('close', (code, killedBy) => {
      gone = true;
      signal?.removeEventListener('abort', end);
      if (code === 0) return resolve();
      if (as.command !== command && code === 127 && said.length === 0) return reject(missing());
      const how = killedBy ? `was ended by ${killedBy}` : `ended with code ${code}`;
      reject(
        failure(
          'CommandFailed',
          `${what} ${how}: ${tail(said) || 'it said nothing'}`,
          'Read what it said, fix the cause, then try again.',
          {
            code,
          },
        ),
      );
    });
  });
  done.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, done, end };
}

/**
 * Into a program that may end before it has read all, as pg_restore does: what comes later is taken all the same, and
 * goes nowhere.
 */
export function feed({ stdin }: Streaming): Writable {
  let over = false;
  stdin.on('close', () => (over = true)).on('error', () => (over = true));
  return new Writable({
    highWaterMark: 1024 * 1024,
    write(chunk: Buffer, _encoding, done) {
      if (over || stdin.write(chunk)) {
        done();
        return;
      }
      const go = () => {
        stdin.off('drain', go);
        stdin.off('close', go);
        done();
      };
      stdin.once('drain', go).once('close', go);
    },
    final(done) {
      if (over) done();
      else stdin.end(() => done());
    },
  });
}

/**
 * Into two places at once. Each has its own room, so that neither waits for the other with every piece; the slower one
 * sets the pace.
 */
export function both(a: Writable, b: Writable): Writable {
  const places = [a, b];
  const joined = new Writable({
    highWaterMark: 1024 * 1024,
    write(chunk: Buffer, _encoding, done) {
      let full = places.filter((place) => !place.write(chunk)).length;
      if (full === 0) {
        done();
        return;
      }
      const emptied = () => {
        full -= 1;
        if (full === 0) done();
      };
      for (const place of places) if (place.writableNeedDrain) place.once('drain', emptied);
    },
    final(done) {
      const ended = (place: Writable) =>
        new Promise<void>((resolve, reject) =>
          place.end((error?: Error | null) => (error ? reject(error) : resolve())),
        );
      Promise.all(places.map(ended)).then(() => done(), done);
    },
    destroy(error, done) {
      for (const place of places) place.destroy();
      done(error);
    },
  });
  for (const place of places) place.on('error', (error) => joined.destroy(error));
  return joined;
}

function withoutSecrets(line: string, env: Record<string, string>): string {
  const password = env['PGPASSWORD'];
  return password ? line.replaceAll(password, '***') : line;
}
