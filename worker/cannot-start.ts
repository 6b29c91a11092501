/** Why a worker cannot start on this machine, in words for who starts it: expected, and told without a stack. */
export class CannotStart extends Error {
  constructor(
    message: string,
    /** What to do about it. */
    readonly hint: string,
  ) {
    super(message);
    this.name = 'CannotStart';
  }
}
