import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type MailServer, startMailServer } from '../../lab/servers/mail.js';
import { freePort } from '../../lab/ports.js';
import type { PlanFile } from '../../plan/schema.js';
import { type Channels, channelsOfPlan, folder, secrets } from '../helpers/channels.js';

type Email = NonNullable<NonNullable<PlanFile['notifications']>['email']>;

describe('e-mail', () => {
  const { path: directory, gone } = folder();
  const usual = getCACertificates();
  let server: MailServer;
  let plaintext: MailServer;
  let channels: Channels;
  const to = (port: number, more: Partial<Email> = {}): Channels =>
    channelsOfPlan({
      email: {
        host: 'localhost',
        port,
        from: 'Lifeboat <lifeboat@example.com>',
        to: ['asha@example.com', 'gone@example.com'],
        ...more,
      },
    });
  const login = { user: 'lifeboat', password: 'env:SMTP_PASSWORD' };
  beforeAll(async () => {
    server = await startMailServer({
      directory,
      login: { user: 'lifeboat', password: secrets.SMTP_PASSWORD },
      unknown: ['gone@example.com'],
    });
    plaintext = await startMailServer({ directory, starttls: false });
    setDefaultCACertificates([...usual, readFileSync(server.caFile, 'utf8')]);
    channels = to(server.port, { ...login, to: ['asha@example.com', 'Ben <ben@example.com>'] });
  });
  afterEach(() => {
    server.mails.length = plaintext.mails.length = 0;
    server.refuseWith(0);
  });
  afterAll(async () => {
    setDefaultCACertificates(usual);
    await Promise.all([server.stop(), plaintext.stop()]);
    gone();
  });

  test('what is raised and what is resolved are one thread, encrypted, to everybody', async () => {
    const { thread } = await channels.send('email');
    await channels.send('email', { state: 'resolved', thread: thread! });
    const [raised, resolved] = server.mails;
    expect(raised).toMatchObject({ secure: true, user: 'lifeboat', to: ['asha@example.com', 'ben@example.com'] });
    expect(raised!.headers).toMatchObject({
      'message-id': thread,
      subject: '[shop] CRITICAL: the logical backup of main failed',
      'auto-submitted': 'auto-generated',
    });
    expect(raised!.text).toMatch(/pg_dump ended with code 1[^]*lifeboat alerts/);
    expect(resolved!.headers).toMatchObject({
      'in-reply-to': thread,
      references: thread,
      subject: expect.stringContaining('resolved'),
    });
  });

  test('a notice that is sent twice has the same Message-ID, another one has another', async () => {
    await channels.send('email');
    await channels.send('email');
    await channels.send('email', { at: '2026-11-22T03:15:00.000Z' });
    const [first, again, other] = server.mails.map(({ headers }) => headers['message-id']);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
  });

  test('a server without encryption is refused by default, and nothing is said to it in the clear', async () => {
    const failed = await to(plaintext.port).failure('email');
    expect(failed).toMatchObject({
      type: 'NoticeRefused',
      nonRetryable: true,
      message: expect.stringContaining('nothing is sent in the clear'),
    });
    expect(plaintext.mails).toEqual([]);
    await to(plaintext.port, { tls: 'none', to: ['asha@example.com'] }).send('email');
    expect(plaintext.mails, 'only where the plan says so').toMatchObject([{ secure: false }]);
  });

  test('tls: encrypted from the first byte, where the server wants it so', async () => {
    const encrypted = await startMailServer({ directory, tls: true });
    await to(encrypted.port, { tls: 'tls', to: ['asha@example.com'] }).send('email');
    expect(encrypted.mails).toMatchObject([{ secure: true }]);
    await encrypted.stop();
  });

  test('a certificate that is not trusted here is not believed', async () => {
    setDefaultCACertificates(usual);
    try {
      const failed = await channels.failure('email');
      expect(failed.message).toMatch(/certificate/i);
      expect(server.mails).toEqual([]);
    } finally {
      setDefaultCACertificates([...usual, readFileSync(server.caFile, 'utf8')]);
    }
  });

  test('a wrong password is not tried again, and stands in no message', async () => {
    process.env['SMTP_PASSWORD'] = 'wrong-password';
    const failed = await channels.failure('email');
    process.env['SMTP_PASSWORD'] = secrets.SMTP_PASSWORD;
    expect(failed).toMatchObject({ type: 'NoticeRefused', nonRetryable: true });
    expect(failed.details[0].hint).toContain('notifications.email.user');
  });

  test.each([
    [451, 'NoticeUndelivered', false],
    [554, 'NoticeRefused', true],
  ])('answered with %d: %s', async (code, type, nonRetryable) => {
    server.refuseWith(code);
    expect(await channels.failure('email')).toMatchObject({ type, nonRetryable });
  });

  test('one recipient that is refused is named, and the others are told', async () => {
    expect(await to(server.port, login).send('email')).toMatchObject({ refused: ['gone@example.com'] });
    expect(server.mails).toMatchObject([{ to: ['asha@example.com'] }]);
  });

  test('nobody listens, or a server that never greets: tried again', { timeout: 900_000 }, async () => {
    const silent = createServer(() => undefined);
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    expect(await to(await freePort()).failure('email')).toMatchObject({
      type: 'NoticeUndelivered',
      nonRetryable: false,
    });
    expect(await to(port).failure('email')).toMatchObject({ type: 'NoticeUndelivered', nonRetryable: false });
    silent.close();
  });

  test('no mail holds a secret, and no line of a title becomes a header', async () => {
    await channels.send('email', {
      title: `x\r\nBcc: thief@example.com ${secrets.DB_PASSWORD}`,
      text: `${secrets.DB_PASSWORD} ${secrets.SMTP_PASSWORD}`,
    });
    const text = JSON.stringify(server.mails);
    for (const value of [secrets.DB_PASSWORD, JSON.stringify(secrets.SMTP_PASSWORD).slice(1, -1)])
      expect(text).not.toContain(value);
    expect(server.mails[0]!.headers).not.toHaveProperty('bcc');
    expect(server.mails[0]!.to).toHaveLength(2);
  });

  test('rehearsed, it logs in and sends nothing', async () => {
    expect(await channels.check()).toMatchObject([{ result: 'pass', says: expect.stringContaining('encrypted') }]);
    expect(server.mails).toEqual([]);
  });
});
