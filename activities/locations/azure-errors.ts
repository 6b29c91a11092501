import { isOfCertificate, saidOf } from './error-texts.js';

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
  ENOTFOUND: [
    'there is no such account',
    'Correct account or endpoint in the plan; or look at the name servers of this host.',
  ],
};

/** The service got other bytes than were sent. */
export const cameChangedToAzure = (error: unknown): boolean => (error as { code?: string }).code === 'Md5Mismatch';

export function explainAzure({ name, account, container }: AzureWhere, error: unknown): unknown {
  const { name: kind, code = '', statusCode } = error as { name: string; code?: string; statusCode?: number };
  if (kind === 'ApplicationFailure' || kind === 'TypeError') return error;
  const said = saidOf(name, `location ${name} (container ${container} of account ${account})`);
  const known =
    refused[code] ?? (statusCode === 401 || statusCode === 403 ? refused['AuthenticationFailed'] : undefined);
  // A name that does not resolve may do so later.
  if (known) return code === 'ENOTFOUND' ? said.unresolved(...known) : said.refused(...known);
  if (statusCode === 507 || code === 'AccountQuotaExceeded') return said.full();
  if (isOfCertificate(code)) return said.untrusted(code);
  if (cameChangedToAzure(error)) return said.changed();
  return said.unreachable(statusCode ? `answers ${statusCode} ${code}` : `does not answer: ${code || kind}`);
}
