/** PostgreSQL's pages, as far as the lab has to forge them. After src/include/storage/checksum_impl.h and bufpage.h. */

export const pageSize = 8192;
const checksumAt = 8;
const lowerAt = 12;
const specialAt = 16;
const headerSize = 24;

/** Line pointers of a page: where each of its tuples is, four bytes each. */
export function linePointers(page: Buffer): number {
  return Math.max(0, (page.readUInt16LE(lowerAt) - headerSize) / 4);
}

export function swapLinePointers(page: Buffer, a: number, b: number): void {
  const first = page.readUInt32LE(headerSize + a * 4);
  page.writeUInt32LE(page.readUInt32LE(headerSize + b * 4), headerSize + a * 4);
  page.writeUInt32LE(first, headerSize + b * 4);
}

/** A leaf of a B-tree, by the flags at the end of the page. */
export function isBtreeLeaf(page: Buffer): boolean {
  const special = page.readUInt16LE(specialAt);
  return special === pageSize - 16 && (page.readUInt16LE(special + 12) & 1) === 1;
}

/** Sets the checksum that the server expects, so that the damage on the page is not found by it. */
export function seal(page: Buffer, block: number): void {
  page.writeUInt16LE(checksum(page, block), checksumAt);
}

export const isSealed = (page: Buffer, block: number): boolean =>
  page.readUInt16LE(checksumAt) === checksum(page, block);

const prime = 16_777_619;
const lanes = 32;

function checksum(page: Buffer, block: number): number {
  const copy = Buffer.from(page);
  copy.writeUInt16LE(0, checksumAt);
  const sums = Uint32Array.from(offsets);
  const mix = (lane: number, value: number): void => {
    const folded = (sums[lane]! ^ value) >>> 0;
    sums[lane] = Math.imul(folded, prime) ^ (folded >>> 17);
  };
  for (let at = 0; at < pageSize; at += 4) mix((at / 4) % lanes, copy.readUInt32LE(at));
  for (let round = 0; round < 2; round += 1) for (let lane = 0; lane < lanes; lane += 1) mix(lane, 0);
  const folded = (sums.reduce((all, one) => all ^ one, 0) ^ block) >>> 0;
  return (folded % 65_535) + 1;
}

const offsets = [
  0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c, 0xf8d4474f,
  0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb, 0xe58f764b, 0x187636bc,
  0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4, 0x783125bb, 0x6ca8eaa2, 0xe407eac6,
  0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
];
