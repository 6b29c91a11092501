/** A place in the WAL, as a number that can be compared: `1/0` comes after `0/FFFFFFFF`. */
export function lsnValue(lsn: string): bigint {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}

/** The other way round. */
export const lsnText = (value: bigint): string =>
  `${(value >> 32n).toString(16)}/${(value & 0xffffffffn).toString(16)}`.toUpperCase();

/**
 * Where the next record is written, at the beginning of a page, lies behind the page's header; the end of the last
 * record lies before it. So an end may seem to be short by that much. Source: src/include/access/xlog_internal.h,
 * SizeOfXLogLongPHD.
 */
const pageHeader = 40n;

/** Whether a replay that ended there has all that was written before `known`. */
export const reaches = (replayed: string, known: string): boolean => lsnValue(replayed) + pageHeader >= lsnValue(known);
