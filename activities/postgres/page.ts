/**
 * What can be said of a page of PostgreSQL by itself, whatever it belongs to. The same that the server looks at when it
 * reads one.
 * Source: src/backend/storage/page/bufpage.c, PageIsVerifiedExtended; src/include/storage/checksum_impl.h.
 */
export type PageState = 'sound' | 'zero' | 'header' | 'checksum';

/** `block`: its number in the whole relation, which is a part of the checksum. */
export function stateOf(page: Buffer, block: number, checksums: boolean): PageState {
  // Lower and upper are both zero in no page that was ever written.
  if (page.readUInt32LE(12) === 0 && page.every((byte) => byte === 0)) return 'zero';
  if (checksums && page.readUInt16LE(8) !== checksum(page, block)) return 'checksum';
  const [flags, lower, upper, special] = [10, 12, 14, 16].map((at) => page.readUInt16LE(at)) as [
    number,
    number,
    number,
    number,
  ];
  const whole = lower >= 24 && lower <= upper && upper <= special && special <= page.length && special % 8 === 0;
  return whole && (flags & ~7) === 0 && (page.readUInt16LE(18) & 0xff00) === (page.length & 0xff00)
    ? 'sound'
    : 'header';
}

const prime = 16_777_619;
const lanes = 32;
const sums = new Uint32Array(lanes);

/** FNV-1a over 32 lanes at once; the field of the checksum itself counts as zero. */
function checksum(page: Buffer, block: number): number {
  const words = new Uint32Array(page.buffer, page.byteOffset, page.length / 4);
  const kept = words[2]!;
  words[2] = kept & 0xffff0000;
  sums.set(offsets);
  for (let at = 0; at < words.length; at += 1) {
    const lane = at & (lanes - 1);
    const folded = sums[lane]! ^ words[at]!;
    sums[lane] = Math.imul(folded, prime) ^ (folded >>> 17);
  }
  words[2] = kept;
  let all = 0;
  for (let lane = 0; lane < lanes; lane += 1) {
    let sum = sums[lane]!;
    for (let round = 0; round < 2; round += 1) sum = Math.imul(sum, prime) ^ (sum >>> 17);
    all ^= sum;
  }
  return (((all ^ block) >>> 0) % 65_535) + 1;
}

const offsets = [
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
];
