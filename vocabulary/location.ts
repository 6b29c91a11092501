/** What a location can be: exactly one of them. */
export const locationKinds = ['directory', 's3', 'azure', 'gcs', 'sftp'] as const;
