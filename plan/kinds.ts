/** What is backed up, and how: a database by its files or as a dump, files, a Redis server, Git repositories. Pure: workflows import it. */
export const backupKinds = ['physical', 'logical', 'files', 'redis', 'code'] as const;
export type BackupKind = (typeof backupKinds)[number];
export const physicalTypes = ['full', 'differential', 'incremental'] as const;
export type PhysicalType = (typeof physicalTypes)[number];
export type BackupType = PhysicalType | Exclude<BackupKind, 'physical'>;

export const isPhysical = (type: BackupType): type is PhysicalType => (physicalTypes as readonly string[]).includes(type);
export const kindOf = (type: BackupType): BackupKind => (isPhysical(type) ? 'physical' : type);

/** What a location can be: exactly one of them. */
export const locationKinds = ['directory', 's3', 'azure', 'gcs', 'sftp'] as const;
export type LocationKind = (typeof locationKinds)[number];
