import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { freePort } from '../ports.js';
import { makeCertificates } from './certificates.js';

export interface Mail {
  to: string[];
  /** It came encrypted. */
  secure: boolean;
  user: string | undefined;
  headers: Record<string, string>;
  text: string;
}

export interface MailServer {
  port: number;
  caFile: string;
  mails: Mail[];
  /** Answers every message with this code from now on; 0: takes them again. */
  refuseWith(code: number): void;
  stop(): Promise<void>;
}

export interface MailOptions {
  directory: string;
  /** STARTTLS is offered, with a certificate of an authority of its own (the default); or it is not. */
  starttls?: boolean;
  /** Encrypted from the first byte. */
  tls?: boolean;
  login?: { user: string; password: string };
  /** Addresses that it does not take mail for. */
  unknown?: string[];
}

/** An SMTP server that records what it is sent. */
export async function startMailServer({
  directory,
  starttls = true,
  tls: fromTheStart = false,
  login,
  unknown = [],
}: MailOptions): Promise<MailServer> {
  const tls = await makeCertificates(join(directory, 'tls'));
  const mails: Mail[] = [];
  let code = 0;
  const problem = (message: string, responseCode: number) => Object.assign(new Error(message), { responseCode });
  const server = new SMTPServer({
    name: 'localhost',
    secure: fromTheStart,
    key: readFileSync(tls.keyFile),
    cert: readFileSync(tls.certificateFile),
    authOptional: login === undefined,
    allowInsecureAuth: true,
    disabledCommands: [...(starttls ? [] : ['STARTTLS']), ...(login ? [] : ['AUTH'])],
    onAuth: ({ username, password }, _session, done) =>
      username === login?.user && password === login?.password
        ? done(null, { user: username })
        : done(problem(`no such login: ${username ?? ''} ${password ?? ''}`, 535)),
    onRcptTo: ({ address }, _session, done) => done(unknown.includes(address) ? problem('no such mailbox', 550) : null),
    onData(stream, session, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        if (code !== 0) {
          done(problem('not now', code));
          return;
        }
        const [head = '', ...rest] = Buffer.concat(parts).toString('utf8').split('\r\n\r\n');
        const headers = head
          .replace(/\r\n[ \t]+/g, ' ')
          .split('\r\n')
          .map((line): [string, string] => {
            const at = line.indexOf(':');
            return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
          });
        mails.push({
          to: session.envelope.rcptTo.map(({ address }) => address),
          secure: session.secure,
          user: session.user as string | undefined,
          headers: Object.fromEntries(headers),
          text: decode(rest.join('\r\n\r\n')),
        });
        done();
      });
    },
  });
  // A client that breaks off is the test's business.
  server.on('error', () => undefined);
  const port = await freePort();
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    caFile: tls.caFile,
    mails,
    refuseWith: (now) => void (code = now),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Quoted-printable, which long lines are sent in. */
const decode = (text: string): string =>
  Buffer.from(
    text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString('utf8');
