/**
 * The failures that Lifeboat tells apart. Each says what happened, carries a hint for the person on call, and says
 * whether trying again can help: only then does Temporal retry it.
 */
export const failureKinds = {
  /** The request cannot be honoured as it was made; nothing was changed. */
  BadRequest: { retry: false },
  /** The data directory, the host or the cluster is not the one that the plan means. */
  WrongTarget: { retry: false },
  /** A program that is needed is not on the host. */
  ToolMissing: { retry: false },
  /** A secret that the plan refers to cannot be read on this host. */
  SecretMissing: { retry: false },
  /** There is not enough room for a restore. */
  NotEnoughSpace: { retry: false },
  /** No backup can reach the target. */
  NoBackup: { retry: false },
  /** The WAL does not reach the target, from whichever backup. */
  TargetUnreachable: { retry: false },
  /** This backup cannot be trusted; another one may be. */
  BackupDamaged: { retry: false },
  /** The restored copy is not what it should be. */
  VerificationFailed: { retry: false },
  /** A check could not look: a setting, a lock, the host. It says nothing of what was to be looked at. */
  CannotLook: { retry: true },
  /** Writes could not be proven stopped. */
  FenceFailed: { retry: true },
  /** Somebody wrote to a database after it was closed, and nobody has decided about that yet. */
  WrittenBehindFence: { retry: false },
  /** PostgreSQL did not start or stop. */
  ServerFailed: { retry: true },
  /** A service did not start, stop or answer. */
  ServiceFailed: { retry: true },
  /** A program ended with an error. */
  CommandFailed: { retry: true },
  /** A location does not answer, or broke off. */
  LocationUnreachable: { retry: true },
  /** A location answers and refuses: credentials, a bucket that is not there. */
  LocationRefused: { retry: false },
  /** Another incident, backup or clean-up holds this database, for a while. */
  Busy: { retry: true },
  /** An incident holds this database, or left it closed: a person ends that. */
  Held: { retry: false },
  /** A channel answers and refuses a notice: credentials, a name that it does not know. */
  NoticeRefused: { retry: false },
  /** A channel does not answer, or cannot take a notice now. */
  NoticeUndelivered: { retry: true },
} as const;

export type FailureKind = keyof typeof failureKinds;
