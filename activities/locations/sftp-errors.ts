import { failure } from '../errors.js';
import { cameShort, goneFrom } from './error-texts.js';

/** What the errors of SFTP mean. Its codes are those of the protocol: draft-ietf-secsh-filexfer-02, section 7. */

export const sftpCode = { eof: 1, noSuchFile: 2, permissionDenied: 3, failure: 4 } as const;

export interface SftpWhere {
  name: string;
  host: string;
  port: number;
  user: string;
  directory: string;
}

const place = ({ name, host, port, user, directory }: SftpWhere) =>
  `location ${name} (${user}@${host}:${port} ${directory})`;

/** Somebody answers with another key than the one in the plan. */
export const otherHostKey = (where: SftpWhere) =>
  failure(
    'LocationRefused',
    `${place(where)}: who answers has another host key than the plan says, and was told nothing`,
    'Somebody may stand between; or the server was set up anew: then take its new key from its owner into hostKey of the plan.',
    { location: where.name },
  );

export const noDirectory = (where: SftpWhere) =>
  failure(
    'LocationUnreachable',
    `${place(where)}: there is no such directory on the server`,
    'Mount its disk there; or, when it should be a new one, make it.',
    { location: where.name },
  );

export const full = (where: SftpWhere) =>
  failure('NotEnoughSpace', `${place(where)} is full`, 'Free space there, or use a larger disk; then try again.', {
    location: where.name,
  });

export const gone = (where: SftpWhere, of: string, why?: string) =>
  goneFrom(where.name, `${where.directory} on ${where.host}`)(of, why);

export const short = (where: SftpWhere, of: string, got: number, wanted: number) =>
  cameShort(where.name, of)(got, wanted);

export function explainSftp(where: SftpWhere, error: unknown): unknown {
  const { name, message, code } = error as { name: string; message: string; code?: string | number };
  if (name === 'ApplicationFailure' || name === 'TypeError') return error;
  const facts = { location: where.name };
  if (message.includes('authentication methods failed'))
    return failure(
      'LocationRefused',
      `${place(where)}: the server does not take the key`,
      `Put the public half of privateKey into authorized_keys of ${where.user} there.`,
      facts,
    );
  if (message.includes('privateKey'))
    return failure(
      'LocationRefused',
      `${place(where)}: privateKey of the plan is no private key without a passphrase`,
      'Give a key in the format of OpenSSH or PEM.',
      facts,
    );
  if (code === sftpCode.permissionDenied)
    return failure(
      'LocationRefused',
      `${place(where)}: permission denied`,
      `Let ${where.user} read and write the directory there.`,
      facts,
    );
  const why = typeof code === 'number' ? `fails with code ${code}` : `does not answer: ${told(message, code)}`;
  return failure(
    'LocationUnreachable',
    `${place(where)} ${why}`,
    'Look at the network of this host and at the server; then try again.',
    facts,
  );
}

const told = (message: string, code: string | undefined) =>
  code && !code.startsWith('ERR_') ? code : message.replace(/^getConnection: /, '').slice(0, 120);
