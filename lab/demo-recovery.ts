import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { IncidentState } from '../vocabulary/incident.js';
import type { Lab } from './lab.js';
import { cliEntry } from './root.js';
import { key, type Telling } from './narrator.js';

/**
 * The demo's recovery: the commands that a person on call types, in a terminal with the live view, elsewhere as lines.
 */

/** Undefined when it did not recover; why was said. */
export async function recover(lab: Lab, tell: Telling, target: string): Promise<IncidentState | undefined> {
  tell.phase('The recovery');
  tell.say(
    'One command. Lifeboat checks the request, stops writes, saves evidence, restores a copy beside the damaged database, verifies it, and ' +
      'asks a person before it puts the copy in place. The damaged data is kept aside, never deleted.',
  );
  const start = ['start', 'database-corruption', '--to', target];
  if (tell.live) tell.say('(What follows is the live view of any incident. Here, Ctrl-C ends the demo.)');
  tell.command(`lifeboat ${start.join(' ')}`);
  if (tell.live) {
    await runHere(lab, [...start, '--no-wait']);
    tell.gap();
    const question = await approvalIsAsked(lab, tell);
    if (question === undefined) return undefined;
    tell.say(
      'Lifeboat waits for you: the figures above are those of the restored copy. Press any key to approve it, Ctrl-C to stop the demo.',
    );
    await key();
    tell.gap();
    tell.command(`lifeboat approve --question ${question}`);
    await runHere(lab, ['approve', '--question', String(question)]);
    tell.command('lifeboat watch');
    await runHere(lab, ['watch']);
  } else await runInLines(lab, tell, [...start, '--wait']);
  const state = await stateOf(lab);
  if (state?.phase === 'recovered') return state;
  tell.bad(
    `It did not recover: the incident is ${state?.phase ?? 'unknown'}. ${state?.question?.problem?.message ?? state?.ending ?? ''}`,
  );
  return undefined;
}

/** The number of the question; undefined when it is another one, or none. */
async function approvalIsAsked(lab: Lab, tell: Telling): Promise<number | undefined> {
  const state = await stateOf(lab);
  if (state?.question?.kind === 'approval') return state.question.id;
  tell.bad(
    `It did not get to the approval: ${state?.question?.problem?.message ?? state?.ending ?? 'no incident answers'}`,
  );
  return undefined;
}

/** On this terminal, as if the person had typed it. */
function runHere(lab: Lab, args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cliEntry, ...args], {
      cwd: lab.directory,
      env: lab.env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
}

/** Nobody sits here: prints its lines, and approves when it asks. Any other question ends it: that is for a person. */
function runInLines(lab: Lab, tell: Telling, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cliEntry, ...args], {
      cwd: lab.directory,
      env: lab.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let approving = Promise.resolve();
    let approval = false;
    const line = (text: string): void => {
      process.stdout.write(`   ${text}\n`);
      if (text.includes('approval needed')) approval = true;
      if (text.includes('decision needed')) child.kill();
    };
    createInterface({ input: child.stderr }).on('line', line);
    createInterface({ input: child.stdout }).on('line', (text) => {
      line(text);
      // The last line of what a question offers.
      if (approval && /^ +lifeboat abort /.test(text)) {
        approval = false;
        approving = (async () => {
          tell.say('This is no terminal, so nobody can be asked: the demo approves by itself.');
          const question = String(await approvalIsAsked(lab, tell));
          tell.command(`lifeboat approve --question ${question}`);
          const { code, stdout, stderr } = await lab.cli(['approve', '--question', question]);
          if (code !== 0) child.kill();
          line((stdout || stderr).trim());
        })();
      }
    });
    child.once('error', reject);
    child.once('close', () => void approving.then(resolve, reject));
  });
}

async function stateOf(lab: Lab): Promise<IncidentState | undefined> {
  const { stdout } = await lab.cli(['watch', '--once', '--json']);
  try {
    return (JSON.parse(stdout) as { state?: IncidentState }).state;
  } catch {
    return undefined;
  }
}
