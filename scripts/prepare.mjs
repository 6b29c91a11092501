// What `npm install` runs last: the build, where the compiler is there. `npm ci --omit=dev` has none, and brings its
// own dist/.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
if (!existsSync(`${root}node_modules/typescript/package.json`)) {
  console.log('lifeboat: without the development dependencies nothing is built');
} else {
  const { status } = spawnSync('npm run build', { cwd: root, stdio: 'inherit', shell: true });
  process.exitCode = status ?? 1;
}
