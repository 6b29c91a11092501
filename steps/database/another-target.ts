import type { Choice } from '../../vocabulary/question.js';

export const anotherTarget: Choice = {
  name: 'restore',
  meaning: 'restore again, to another target',
  needs: ['target'],
  alone: true,
};
