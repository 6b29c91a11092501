import { failure } from '../errors.js';

/**
 * What is said of every location alike, whichever vendor's client found it out. `where`: `location us-east (bucket b)`.
 */

const networkHint =
  'Something between this host and the service changes data: look at proxies, and at the memory of this host; then try again.';

const certificates = /CERT|SIGNATURE|SELF_SIGNED|ISSUER|ALTNAME/;

/** Whether a code of Node's TLS says that the certificate is not believed. */
export const isOfCertificate = (code: string): boolean => certificates.test(code);

/** The failures of one location. `name`: in the plan. */
export const saidOf = (name: string, where: string) => {
  const facts = { location: name };
  return {
    refused: (what: string, hint: string) => failure('LocationRefused', `${where}: ${what}`, hint, facts),
    untrusted: (code: string) =>
      failure(
        'LocationRefused',
        `${where}: its certificate is not trusted (${code})`,
        'Give its authority as caFile in the plan.',
        facts,
      ),
    full: () => failure('NotEnoughSpace', `${where} is full`, 'Free space there; then try again.', facts),
    /** A name that is not known to the name servers may be later. */
    unresolved: (what: string, hint: string) => failure('LocationUnreachable', `${where}: ${what}`, hint, facts),
    /** The service got something else than what was sent to it. */
    changed: () => failure('LocationUnreachable', `${where} received other bytes than were sent`, networkHint, facts),
    unreachable: (what: string) =>
      failure(
        'LocationUnreachable',
        `${where} ${what}`,
        'Look at the network of this host and at the service; then try again.',
        facts,
      ),
  };
};

/** Something that should be there is not, or changed while it was read. `place`: `bucket b`. */
export const goneFrom =
  (name: string, place: string) =>
  (of: string, why = 'there is nothing of that name') =>
    failure(
      'BackupDamaged',
      `location ${name}: ${of} cannot be read: ${why}`,
      `Somebody removed or changed it in ${place}; use another backup.`,
      { location: name },
    );

/** Fewer or more bytes came than were asked for. */
export const cameShort = (name: string, of: string) => (got: number, wanted: number) =>
  failure(
    'LocationUnreachable',
    `location ${name}: ${of} came ${got < wanted ? 'short' : 'with more than was asked for'}: ${got} of ${wanted} bytes`,
    'Try again.',
    { location: name },
  );

/** What came is not what is there. */
export const cameChanged = (name: string, of: string) =>
  failure(
    'LocationUnreachable',
    `location ${name}: ${of} was changed on its way here: its checksum is another`,
    networkHint,
    {
      location: name,
    },
  );

/** Work whose errors are put in words. */
export const explaining =
  (explain: (error: unknown) => unknown) =>
  async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw explain(error);
    }
  };
