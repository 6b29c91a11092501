import { createHash } from 'node:crypto';
import { createTransport, type SMTPSentMessageInfo, type SMTPTransportOptions, type Transporter } from 'nodemailer';
import type { Notice } from '../../vocabulary/alert.js';
import { answersWithin, type Channel, type ChannelContext, headline, refused, undelivered } from './channel.js';

/**
 * E-mail, by SMTP. Encrypted unless the plan says otherwise: with starttls a server that does not offer it is refused,
 * whatever it says (RFC 3207, 6: an attacker can take the offer away). The Message-ID is the notice's own, so that one
 * which is sent twice is known as the same (RFC 5322, 3.6.4).
 */
export function email({ plan, secret }: ChannelContext): Channel | undefined {
  const { email: settings } = plan.notifications;
  if (!settings) return undefined;
  const { host, port, tls, user, password, from, to } = settings;
  const where = `${host}:${port}`;
  const withTransport = async <T>(work: (transport: Transport) => Promise<T>): Promise<T> => {
    const transport = createTransport({
      host,
      port,
      secure: tls === 'tls',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'none',
      ...(user === undefined ? {} : { auth: { user, pass: password === undefined ? '' : await secret(password) } }),
      connectionTimeout: answersWithin,
      greetingTimeout: answersWithin,
      socketTimeout: answersWithin,
      dnsTimeout: answersWithin,
      tls: { minVersion: 'TLSv1.2' },
      // Its texts are not ours alone: none of them may name a file or an address to be fetched.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    try {
      return await work(transport);
    } catch (error) {
      throw explain(error as SmtpError, where);
    } finally {
      transport.close();
    }
  };
  return {
    name: 'email',
    rehearse: () =>
      withTransport(async (transport) => {
        await transport.verify();
        return `${where} answers, ${tls === 'none' ? 'NOT encrypted, as the plan says' : 'encrypted'}; to ${to.join(', ')}`;
      }),
    send: (notice) =>
      withTransport(async (transport) => {
        const messageId = idOf(notice, from);
        const { rejected: lost } = await transport.sendMail({
          from,
          to,
          subject: headline(notice),
          text: `${notice.text}\n\n${footer(notice)}\n`,
          messageId,
          ...(notice.thread ? { inReplyTo: notice.thread, references: notice.thread } : {}),
          date: new Date(notice.at),
          headers: {
            'Auto-Submitted': 'auto-generated',
            ...(notice.severity === 'critical' ? { Importance: 'high' } : {}),
          },
        });
        return { thread: notice.thread ?? messageId, ...(lost.length > 0 ? { refused: lost } : {}) };
      }),
  };
}

const footer = ({ state, at, key, news }: Notice): string =>
  news
    ? `At ${at} · ${key}`
    : `${state === 'raised' ? 'Raised' : 'Resolved'} at ${at} · ${key}\nEverything that is open: lifeboat alerts`;

type Transport = Transporter<SMTPSentMessageInfo, SMTPTransportOptions>;

interface SmtpError extends Error {
  code?: string;
  command?: string;
  responseCode?: number;
  response?: string;
}

function idOf({ system, key, state, at, reminder }: Notice, from: string): string {
  const digest = createHash('sha256').update([system, key, state, at, reminder].join('\n')).digest('hex').slice(0, 32);
  return `<lifeboat.${digest}@${/@([A-Za-z0-9.-]+)/.exec(from)?.[1] ?? 'lifeboat.invalid'}>`;
}

function explain(error: SmtpError, where: string): Error {
  const { code = '', responseCode = 0 } = error;
  const said = error.message.replace(/\s+/g, ' ').slice(0, 300);
  const server = `the mail server ${where}`;
  if (code === 'EAUTH' && (responseCode === 0 || responseCode >= 500))
    return refused(server, said, 'Correct notifications.email.user, and what its password refers to.');
  if (code === 'ETLS' || /STARTTLS/i.test(said))
    return refused(
      server,
      `no encryption is to be had (${said}), and nothing is sent in the clear`,
      'Use tls: tls if it speaks TLS from the first byte (port 465), and tls: none only for a relay on this machine.',
    );
  if (responseCode >= 500)
    return refused(server, said, 'Correct from and to of notifications.email, or ask who runs the server.');
  const hint = 'Is it up, and are host, port and tls of notifications.email right? It is tried again by itself.';
  const certificate = /certificate|self.signed|altnames/i.test(said)
    ? 'Its certificate is not trusted here: NODE_EXTRA_CA_CERTS names your own authority. '
    : '';
  return undelivered(server, said, certificate + hint);
}
