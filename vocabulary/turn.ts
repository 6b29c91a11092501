/**
 * Seconds between two looks whether it is one's turn: soon at first, since most work is short; rarely then, since each
 * look is ten events of a history.
 */
const pauses = [1, 2, 5, 10, 20, 30, 60, 120, 300];
export const pauseBefore = (look: number): number => pauses[look] ?? pauses.at(-1)!;
