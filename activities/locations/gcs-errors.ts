import { isOfCertificate, saidOf } from './error-texts.js';

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

/** The status of HTTP that an error of theirs is about; they have three places for it. */
export function statusOf(error: unknown): number | undefined {
  const { code, status, response } = error as Vendors;
  return [code, status, response?.status].map(Number).find((one) => one >= 100 && one < 600);
}

export function explainGcs({ name, bucket }: GcsWhere, error: unknown): unknown {
  const { name: kind, message, code } = error as Vendors;
  if (kind === 'ApplicationFailure' || kind === 'TypeError') return error;
  const said = saidOf(name, `location ${name} (bucket ${bucket})`);
  const status = statusOf(error);
  if (status === 401 || /invalid_grant|invalid_client|PEM|DECODER/i.test(message))
    return said.refused(
      'its credentials are not valid',
      'Give the JSON key of a service account as credentials in the plan.',
    );
  if (/default credentials/i.test(message))
    return said.refused(
      'this host has no credentials for it',
      'Give credentials in the plan, or the host a service account.',
    );
  if (status === 403)
    return said.refused('access is denied', 'The service account needs the role Storage Object Admin on the bucket.');
  if (status === 404)
    return said.refused('there is no such bucket', 'Make the bucket, or correct its name in the plan.');
  if (isOfCertificate(String(code ?? ''))) return said.untrusted(String(code));
  if (status === 507) return said.full();
  return said.unreachable(status ? `answers ${status}` : `does not answer: ${code ?? kind}`);
}
