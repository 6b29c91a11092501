import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files of these begin first, in this order: one that takes minutes and begins last would be waited for alone. The rest
 * is in the order of its size.
 */
const slow = [
  'test/faults/steps',
  'test/faults/',
  'test/scenarios/',
  'test/workflows/',
  'test/field-notes/',
  'test/examples/',
  'test/bad-input/',
  'test/activities/',
  'test/backups/',
];

export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = slow.findIndex((folder) => moduleId.includes(`/${folder}`));
      return at < 0 ? slow.length : at;
    };
    const sized = await super.sort(files);
    return sized
      .map((file, size) => ({ file, size }))
      .sort((a, b) => rank(a.file) - rank(b.file) || a.size - b.size)
      .map(({ file }) => file);
  }
}
