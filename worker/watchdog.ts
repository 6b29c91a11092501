import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';

/**
 * So many without an answer, one after the other, are a minute. A machine that was asleep counts one, not the hours.
 */
const patience = 12;

/**
 * A mount that is dead or a disk that hangs keeps a file operation for ever, and four of them keep every other one of
 * this process, which goes on living and beating without ever doing anything. This asks for a small one again and
 * again; when none comes back for a minute, it ends the process aloud: what watches over it (systemd, `lifeboat up`)
 * starts it again, and Temporal gives its work to that one. Its timer needs no file. While all is well, systemd hears
 * of it (sd_notify), where the unit asks for that.
 * Source: libuv, "Thread pool work scheduling"; sd_notify(3).
 */
export function watchOver(what: string, directory: string, everyMilliseconds = 5000): void {
  tellSystemd('READY=1');
  let waiting = false;
  let missed = 0;
  const timer = setInterval(() => {
    if (waiting) {
      missed += 1;
      if (missed < patience) return;
      console.error(
        `${new Date().toISOString()} ${what}: no file operation has come back for ${(missed * everyMilliseconds) / 1000} s (a dead mount, a disk that hangs): ending, to be started again`,
      );
      // Not process.exit, which waits for the threads that hang.
      process.kill(process.pid, 'SIGKILL');
      return;
    }
    missed = 0;
    waiting = true;
    const back = () => {
      waiting = false;
      tellSystemd('WATCHDOG=1');
    };
    // An error is an answer.
    stat(directory).then(back, back);
  }, everyMilliseconds);
  timer.unref();
}

/**
 * Node has no datagrams of Unix sockets: systemd's own program sends it. Source: systemd-notify(1); the unit says
 * NotifyAccess=all.
 */
function tellSystemd(state: string): void {
  if (!process.env['NOTIFY_SOCKET']) return;
  spawn('systemd-notify', [`--pid=${process.pid}`, state], { stdio: 'ignore' })
    .on('error', () => undefined)
    .unref();
}
