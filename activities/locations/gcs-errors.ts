import { failure } from '../errors.js';

/** What the errors of Google Cloud Storage mean. */

export interface GcsWhere {
  name: string;
  bucket: string;
}

interface Vendors {
  name: string;
  message: string;
  code?: number | string;
  status?: number;
  response?: { status?: number };
}

const certificates = /CERT|SIGNATURE|SELF_SIGNED|ISSUER|ALTNAME/;

/** The status of HTTP that an error of theirs is about; they have three places for it. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = error as Vendors;
  return [code, status, response?.status].map(Number).find((one) => one >= 100 && one < 600);
}

export function explainGcs({ name, bucket }: GcsWhere, error: unknown): unknown {
  const { name: kind, message, code } = error as Vendors;
  if (kind === 'ApplicationFailure' || kind === 'TypeError') return error;
  const where = `location ${name} (bucket ${bucket})`;
  const facts = { location: name };
  const refused = (what: string, hint: string) => failure('LocationRefused', `${where}: ${what}`, hint, facts);
  const status = statusOf(error);
  if (status === 401 || /invalid_grant|invalid_client|PEM|DECODER/i.test(message))
    return refused('its credentials are not valid', 'Give the JSON key of a service account as credentials in the plan.');
  if (/default credentials/i.test(message))
    return refused('this host has no credentials for it', 'Give credentials in the plan, or the host a service account.');
  if (status === 403) return refused('access is denied', 'The service account needs the role Storage Object Admin on the bucket.');
  if (status === 404) return refused('there is no such bucket', 'Make the bucket, or correct its name in the plan.');
  if (certificates.test(String(code ?? '')))
    return refused(`its certificate is not trusted (${code})`, 'Give its authority as caFile in the plan.');
  if (status === 507) return failure('NotEnoughSpace', `${where} is full`, 'Free space there; then try again.', facts);
  const what = status ? `answers ${status}` : `does not answer: ${code ?? kind}`;
  return failure('LocationUnreachable', `${where} ${what}`, 'Look at the network of this host and at the service; then try again.', facts);
}
