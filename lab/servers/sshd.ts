import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../ports.js';
import { tool } from '../tools.js';
import { serve, type ServerOptions } from './serve.js';

export interface Sshd {
  host: string;
  port: number;
  user: string;
  /** A directory on the "server" that backups can go to. */
  root: string;
  /** The private key that may log in, in a file of mode 600. */
  keyFile: string;
  /** `ssh-ed25519 AAAA...`, as the plan wants it. */
  hostKey: string;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

/** OpenSSH's own server for whoever runs the lab, with keys of its own and SFTP only. */
export async function startSshd(options: ServerOptions): Promise<Sshd> {
  const { directory } = options;
  const port = await freePort();
  const root = join(directory, 'data');
  mkdirSync(root, { recursive: true });
  const key = (name: string): string => {
    const file = join(directory, name);
    if (!existsSync(file)) execFileSync(tool('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', file]);
    return file;
  };
  const [hostKeyFile, keyFile] = [key('host'), key('client')];
  const authorized = join(directory, 'authorized_keys');
  writeFileSync(authorized, readFileSync(`${keyFile}.pub`), { mode: 0o600 });
  const config = join(directory, 'sshd_config');
  writeFileSync(
    config,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${hostKeyFile}`,
      `AuthorizedKeysFile ${authorized}`,
      // The directory of a lab is in /tmp, which everybody may write to.
      'StrictModes no',
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'Subsystem sftp internal-sftp',
      'ForceCommand internal-sftp',
      'MaxStartups 100',
      'LogLevel VERBOSE',
      '',
    ].join('\n'),
  );
  // As root it wants a directory to shut its unprivileged part into; a booted system has made it.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const child = await serve('sshd', options, port, tool('sshd'), ['-D', '-e', '-f', config]);
  const [type, blob] = readFileSync(`${hostKeyFile}.pub`, 'utf8').split(' ');
  return {
    host: '127.0.0.1',
    port,
    user: userInfo().username,
    root,
    keyFile,
    hostKey: `${type} ${blob}`,
    stop: () => child.stop(),
    kill9: () => child.kill9(),
  };
}
