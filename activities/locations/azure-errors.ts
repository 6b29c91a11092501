import { failure } from '../errors.js';

/** What the errors of Azure mean. Its texts are left out: they repeat what was signed. */

export interface AzureWhere {
  name: string;
  account: string;
  container: string;
}

const refused: Record<string, [string, string]> = {
  ContainerNotFound: ['there is no such container', 'Make the container, or correct its name in the plan.'],
  ContainerBeingDeleted: ['the container is being deleted', 'Name another container in the plan.'],
  ContainerDisabled: ['the container is disabled', 'Ask who owns the account.'],
  AccountIsDisabled: ['the account is disabled', 'Ask who owns the account.'],
  AuthenticationFailed: [
    'its key is wrong, or the clock of this host is',
    'Correct the key where the plan refers to it; look at `timedatectl`.',
  ],
  AuthorizationFailure: ['access is denied', 'Let this host through the firewall of the account.'],
  KeyBasedAuthenticationNotPermitted: ['the account allows no keys', 'Allow shared keys for the account.'],
  InvalidResourceName: ['that is no name of a container', 'Correct its name in the plan.'],
  ENOTFOUND: ['there is no such account', 'Correct account or endpoint in the plan; or look at the name servers of this host.'],
};

const certificates = /CERT|SIGNATURE|SELF_SIGNED|ISSUER|ALTNAME/;

export function explainAzure({ name, account, container }: AzureWhere, error: unknown): unknown {
  const { name: kind, code = '', statusCode } = error as { name: string; code?: string; statusCode?: number };
  if (kind === 'ApplicationFailure' || kind === 'TypeError') return error;
  const where = `location ${name} (container ${container} of account ${account})`;
  const facts = { location: name };
  const known = refused[code] ?? (statusCode === 401 || statusCode === 403 ? refused['AuthenticationFailed'] : undefined);
  // A name that does not resolve may do so later.
  if (known && code !== 'ENOTFOUND') return failure('LocationRefused', `${where}: ${known[0]}`, known[1], facts);
  if (known) return failure('LocationUnreachable', `${where}: ${known[0]}`, known[1], facts);
  if (statusCode === 507 || code === 'AccountQuotaExceeded')
    return failure('NotEnoughSpace', `${where} is full`, 'Free space there; then try again.', facts);
  if (certificates.test(code))
    return failure(
      'LocationRefused',
      `${where}: its certificate is not trusted (${code})`,
      'Give its authority as caFile in the plan.',
      facts,
    );
  const what = statusCode ? `answers ${statusCode} ${code}` : `does not answer: ${code || kind}`;
  return failure('LocationUnreachable', `${where} ${what}`, 'Look at the network of this host and at the service; then try again.', facts);
}
