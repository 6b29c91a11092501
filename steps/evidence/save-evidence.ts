import { type OnDatabase, step } from '../step.js';

export const saveEvidence = step({
  name: 'Save evidence',
  does: 'Server log, control data, checksum and amcheck findings are copied aside, each with its SHA-256.',
  touches: 'production',
  host: ({ host }: OnDatabase) => host,
  async run(at, { database, host }: OnDatabase) {
    const saved = await at.on(host, 'change').saveEvidence({ database });
    at.state.evidence.push(...saved.files);
    return { summary: saved.summary };
  },
  without: () => ({ summary: 'no evidence was saved' }),
});
