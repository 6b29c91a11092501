import type { LocationPlan } from '../plan/schema.js';

/**
 * How each tool is told where a location is, for a person who has no Lifeboat. A secret is named by what the plan calls
 * it. Pure.
 */

/** Stands in a command where a person puts the secret. */
const secret = (reference: string | undefined): string => `(what ${reference ?? 'the plan'} stands for)`;
/** The same for a tool that wants a file. */
const inFile = (reference: string): string => `(a file of mode 600 with what ${reference} stands for)`;
/** A word of a command, quoted where the shell would take it apart. */
export const shell = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`;
const below = (prefix: string | undefined, rest = ''): string => [prefix, rest].filter(Boolean).join('/');
const hostOf = (url: string): string => new URL(url).hostname;
const portOf = (url: string): string | undefined => new URL(url).port || undefined;

/** The lines of pgbackrest.conf that make a location its repository 1. Source: pgbackrest.org/configuration.html */
export function pgbackrestLines({ directory, s3, azure, gcs, sftp, encryption }: LocationPlan): string[] {
  const option = (name: string, value: string | number | undefined): string[] =>
    value === undefined ? [] : [`repo1-${name}=${value}`];
  const { endpoint, caFile } = s3 ?? azure ?? gcs ?? {};
  const storage = endpoint === undefined ? [] : option('storage-port', portOf(endpoint));
  const ca = option('storage-ca-file', caFile);
  const cipher = encryption
    ? [...option('cipher-type', 'aes-256-cbc'), ...option('cipher-pass', secret(encryption))]
    : [];
  if (s3)
    return [
      ...option('type', 's3'),
      ...option('path', `/${below(s3.prefix)}`),
      ...option('s3-bucket', s3.bucket),
      ...option('s3-region', s3.region),
      ...option('s3-endpoint', endpoint ? hostOf(endpoint) : `s3.${s3.region}.amazonaws.com`),
      ...option('s3-uri-style', s3.pathStyle ? 'path' : undefined),
      ...(s3.accessKeyId
        ? [...option('s3-key', secret(s3.accessKeyId)), ...option('s3-key-secret', secret(s3.secretAccessKey))]
        : option('s3-key-type', 'auto')),
      ...storage,
      ...ca,
      ...cipher,
    ];
  if (azure) {
    // The account is a part of the name of the host, or else of the path.
    const host = endpoint && hostOf(endpoint);
    const named = host?.startsWith(`${azure.account}.`) === true;
    return [
      ...option('type', 'azure'),
      ...option('path', `/${below(azure.prefix)}`),
      ...option('azure-account', azure.account),
      ...option('azure-container', azure.container),
      ...option('azure-key', secret(azure.key)),
      ...option('azure-endpoint', named ? host.slice(azure.account.length + 1) : host),
      ...option('azure-uri-style', host && !named ? 'path' : undefined),
      ...storage,
      ...ca,
      ...cipher,
    ];
  }
  if (gcs)
    return [
      ...option('type', 'gcs'),
      ...option('path', `/${below(gcs.prefix)}`),
      ...option('gcs-bucket', gcs.bucket),
      ...option('gcs-key-type', gcs.credentials ? 'service' : 'auto'),
      ...option('gcs-key', gcs.credentials && inFile(gcs.credentials)),
      ...option('gcs-endpoint', endpoint && hostOf(endpoint)),
      ...storage,
      ...ca,
      ...cipher,
    ];
  if (sftp)
    return [
      ...option('type', 'sftp'),
      ...option('path', sftp.directory),
      ...option('sftp-host', sftp.host),
      ...option('sftp-host-port', sftp.port),
      ...option('sftp-host-user', sftp.user),
      ...option('sftp-private-key-file', inFile(sftp.privateKey)),
      // The server's key is in ~/.ssh/known_hosts of who has logged in there once.
      ...option('sftp-host-key-check-type', 'strict'),
      ...option('sftp-host-key-hash-type', 'sha256'),
      ...cipher,
    ];
  return [...option('path', directory), ...cipher];
}

/** The environment with which wal-g finds the backups of a database there. Source: wal-g.readthedocs.io/STORAGES */
export function walgLines({ directory, s3, gcs, encryption }: LocationPlan, stanza: string): string[] {
  const folder = `wal-g/${stanza}`;
  return [
    ...(s3
      ? [
          `export WALG_S3_PREFIX=s3://${s3.bucket}/${below(s3.prefix, folder)}`,
          ...awsLines({ ...s3, caFile: undefined }, 'AWS_ENDPOINT'),
          ...(s3.caFile ? [`export WALG_S3_CA_CERT_FILE=${s3.caFile}`] : []),
          ...(s3.pathStyle ? ['export AWS_S3_FORCE_PATH_STYLE=true'] : []),
        ]
      : []),
    ...(gcs ? [`export WALG_GS_PREFIX=gs://${gcs.bucket}/${below(gcs.prefix, folder)}`, ...googleLines(gcs)] : []),
    ...(directory ? [`export WALG_FILE_PREFIX=${shell(`${directory}/${folder}`)}`] : []),
    // The key is the SHA-256 of the passphrase; WAL-G must be one that was built with libsodium.
    ...(encryption
      ? [
          `export WALG_LIBSODIUM_KEY="$(printf %s "${secret(encryption)}" | sha256sum | cut -d' ' -f1)" WALG_LIBSODIUM_KEY_TRANSFORM=hex`,
        ]
      : []),
  ];
}

/** The environment with which restic finds the repository of a location, and opens it. Source: restic.readthedocs.io */
export function resticLines({ directory, s3, azure, gcs, sftp, encryption }: LocationPlan): string[] {
  const repository = (where: string): string => `export RESTIC_REPOSITORY=${shell(where)}`;
  return [
    ...(s3
      ? [
          repository(
            `s3:${s3.endpoint ?? `https://s3.${s3.region}.amazonaws.com`}/${s3.bucket}/${below(s3.prefix, 'restic')}`,
          ),
          ...awsLines(s3),
        ]
      : []),
    ...(azure
      ? [
          repository(`azure:${azure.container}:/${below(azure.prefix, 'restic')}`),
          `export AZURE_ACCOUNT_NAME=${azure.account} AZURE_ACCOUNT_KEY="${secret(azure.key)}"`,
        ]
      : []),
    ...(gcs ? [repository(`gs:${gcs.bucket}:/${below(gcs.prefix, 'restic')}`), ...googleLines(gcs)] : []),
    ...(sftp
      ? [
          repository(`sftp://${sftp.user}@${sftp.host}:${sftp.port}/${sftp.directory}/restic`),
          `eval "$(ssh-agent)"; ssh-add KEYFILE   # a file of mode 600 with what ${sftp.privateKey} stands for`,
        ]
      : []),
    ...(directory ? [repository(`${directory}/restic`)] : []),
    ...(encryption
      ? [`export RESTIC_PASSWORD="${secret(encryption)}"`]
      : ['export RESTIC_PASSWORD=lifeboat   # no secret: the plan does not encrypt here']),
  ];
}

/**
 * Commands that list what is below a prefix of a location, and fetch one folder of it (`ID`) into the current
 * directory.
 */
export function fetchLines({ directory, s3, azure, gcs, sftp }: LocationPlan, prefix: string): string[] {
  if (s3) {
    const endpoint = s3.endpoint ? ` --endpoint-url ${s3.endpoint}` : '';
    const url = `s3://${s3.bucket}/${below(s3.prefix, prefix)}`;
    const style = s3.pathStyle ? ['aws configure set default.s3.addressing_style path'] : [];
    return [...awsLines(s3), ...style, `aws s3${endpoint} ls ${url}`, `aws s3${endpoint} cp --recursive ${url}ID/ ID/`];
  }
  if (azure) {
    const account = `--account-name ${azure.account}${azure.endpoint ? ` --blob-endpoint ${azure.endpoint}` : ''}`;
    const name = below(azure.prefix, prefix);
    return [
      `export AZURE_STORAGE_KEY="${secret(azure.key)}"`,
      `az storage blob list ${account} --container-name ${azure.container} --prefix ${name} --query [].name --output tsv`,
      `az storage blob download-batch ${account} --source ${azure.container} --pattern '${name}ID/*' --destination . && mv ${name}ID ID`,
    ];
  }
  if (gcs) {
    const url = `gs://${gcs.bucket}/${below(gcs.prefix, prefix)}`;
    return [...googleLines(gcs), `gcloud storage ls ${url}`, `gcloud storage cp --recursive ${url}ID .`];
  }
  if (sftp) {
    const server = `-P ${sftp.port} -i KEYFILE`;
    return [
      `# KEYFILE: a file of mode 600 with what ${sftp.privateKey} stands for`,
      `echo ${shell(`ls "${sftp.directory}/${prefix}"`)} | sftp ${server} ${sftp.user}@${sftp.host}`,
      `sftp -r ${server} ${shell(`${sftp.user}@${sftp.host}:${sftp.directory}/${prefix}ID`)} .`,
    ];
  }
  const folder = `${directory ?? ''}/${prefix}`;
  return [`ls ${shell(folder)}`, `cp -r ${shell(`${folder}ID`)} .`];
}

const awsLines = (s3: NonNullable<LocationPlan['s3']>, endpoint?: string): string[] => [
  ...(s3.accessKeyId
    ? [`export AWS_ACCESS_KEY_ID="${secret(s3.accessKeyId)}" AWS_SECRET_ACCESS_KEY="${secret(s3.secretAccessKey)}"`]
    : ['# the credentials of this machine must reach the bucket']),
  `export AWS_DEFAULT_REGION=${s3.region}${endpoint && s3.endpoint ? ` ${endpoint}=${s3.endpoint}` : ''}`,
  ...(s3.caFile
    ? [
        `export AWS_CA_BUNDLE=${s3.caFile} SSL_CERT_FILE=${s3.caFile}   # aws reads the first, restic and wal-g the second`,
      ]
    : []),
];

const googleLines = (gcs: NonNullable<LocationPlan['gcs']>): string[] =>
  gcs.credentials ? [`export GOOGLE_APPLICATION_CREDENTIALS="${inFile(gcs.credentials)}"`] : [];
