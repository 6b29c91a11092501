#!/usr/bin/env node
// Starts the CLI on a Node that is new enough: this one, or the one that the npm package `node` brought along.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const needed = [22, 22];
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > needed[0] || (major === needed[0] && minor >= needed[1])) {
  const cli = new URL('../dist/client/cli.js', import.meta.url);
  if (!existsSync(cli)) stop('lifeboat: not built: run npm install');
  module.enableCompileCache();
  await import(cli.href);
} else {
  await startOnOwnNode();
}

async function startOnOwnNode() {
  const node = ownNode();
  if (!node)
    stop(
      `lifeboat: needs Node ${needed.join('.')} or newer, and this is ${process.versions.node}: run npm install, which brings one along`,
    );
  const { spawn } = await import('node:child_process');
  const { constants } = await import('node:os');
  const child = spawn(node, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  // A terminal sends its signals to both processes; a second one would end a worker that is shutting down in order.
  const fromTerminal = new Set(process.stdin.isTTY ? ['SIGINT', 'SIGQUIT', 'SIGHUP'] : []);
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM', 'SIGUSR2']) {
    process.on(signal, () => {
      if (!fromTerminal.has(signal)) child.kill(signal);
    });
  }
  child.on('error', (error) => stop(`lifeboat: ${node} does not start: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

/**
 * Where npm puts the package `node`: into this package's node_modules, or beside this package when it is itself a
 * dependency.
 */
function ownNode() {
  for (const modules of ['../node_modules/', '../../']) {
    const path = fileURLToPath(new URL(`${modules}node/bin/node`, import.meta.url));
    if (existsSync(path)) return path;
  }
  return undefined;
}

function stop(message) {
  console.error(message);
  process.exit(2);
}
