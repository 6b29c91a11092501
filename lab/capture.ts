import { spawn } from 'node:child_process';
import { compiled } from './root.js';

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. Whatever its exit code: that is for the caller to judge. */
export function capture(
  program: string,
  args: string[],
  cwd: string,
  env: Record<string, string>,
  input?: string,
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...compiled, ...env },
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout!.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
    // A program that ends without reading its input is no failure of ours.
    child.stdin?.on('error', () => undefined).end(input);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}
