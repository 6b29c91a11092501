import { isOfCertificate, saidOf } from './error-texts.js';

/** What the errors of S3 mean. Vendors' texts are left out: some repeat what was signed, or with which key. */

export interface S3Where {
  name: string;
  bucket: string;
  endpoint: string | undefined;
}

const refused: Record<string, [string, string]> = {
  NoSuchBucket: ['there is no bucket', 'Make the bucket, or correct its name in the plan.'],
  AccessDenied: [
    'access is denied',
    'Its key must be allowed s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload.',
  ],
  InvalidAccessKeyId: ['its access key is not known', 'Correct accessKeyId where the plan refers to it.'],
  SignatureDoesNotMatch: ['its secret key is wrong', 'Correct secretAccessKey where the plan refers to it.'],
  ExpiredToken: ['its credentials have expired', 'Renew the credentials of this host.'],
  InvalidToken: ['its credentials are not valid', 'Renew the credentials of this host.'],
  CredentialsProviderError: [
    'this host has no credentials for it',
    'Give accessKeyId and secretAccessKey in the plan, or the host a role.',
  ],
  PermanentRedirect: ['the bucket is in another region', 'Correct its region in the plan.'],
  AuthorizationHeaderMalformed: ['the bucket is in another region', 'Correct its region in the plan.'],
  InvalidBucketName: ['that is no name of a bucket', 'Correct its name in the plan.'],
  AllAccessDisabled: ['all access is disabled', 'Ask who owns the account.'],
  RequestTimeTooSkewed: ['the clock of this host is wrong', 'Set the clock: `timedatectl`.'],
};

interface Vendors {
  name?: string;
  Code?: string;
  code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
}

/** The service got other bytes than were sent. */
export const cameChangedToS3 = (error: unknown): boolean =>
  ['XAmzContentSHA256Mismatch', 'BadDigest'].includes((error as Vendors).name ?? '');

export function explainS3({ name, bucket, endpoint }: S3Where, error: unknown): unknown {
  const { name: kind = '', Code, code = '', $metadata } = error as Vendors;
  if (kind === 'ApplicationFailure' || kind === 'TypeError') return error;
  const said = saidOf(name, `location ${name} (bucket ${bucket}${endpoint ? ` at ${endpoint}` : ''})`);
  const known = refused[Code ?? ''] ?? refused[kind];
  if (known) return said.refused(...known);
  const status = $metadata?.httpStatusCode;
  if (kind === 'QuotaExceeded' || status === 507) return said.full();
  // A HEAD has no text that says which of them it is.
  if (status === 401 || status === 403) return said.refused(...refused['AccessDenied']!);
  if (status === 301) return said.refused(...refused['PermanentRedirect']!);
  if (isOfCertificate(code)) return said.untrusted(code);
  if (cameChangedToS3(error)) return said.changed();
  return said.unreachable(status && status >= 400 ? `answers ${status} ${kind}` : `does not answer: ${code || kind}`);
}
