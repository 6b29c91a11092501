import { createLab } from './lab.js';
import { overwritePages, dropTable } from './damage.js';
import { burst } from './shop.js';
const t0 = Date.now();
const say = (s: string) => console.log(((Date.now() - t0) / 1000).toFixed(1), s);
const lab = await createLab({ standby: true, fast: true, ui: true });
say(lab.directory);
try {
  await lab.startControl();
  await lab.startAgents();
  await lab.service('start');
  say('workers up');
  let r = await lab.cli(['backup', 'create', '--full']);
  say(JSON.stringify(r));
  r = await lab.cli(['doctor']);
  say(r.stdout + r.stderr);
  await burst(lab.primary, 200);
  await new Promise((x) => setTimeout(x, 3000));
  const before = new Date().toISOString();
  say('before ' + before);
  await new Promise((x) => setTimeout(x, 3000));
  await overwritePages(lab.primary, 'orders').catch((e) => say(String(e)));
  await dropTable(lab.primary, 'payments');
  const p = lab.cli(['start', 'database-corruption', '--to', before, '--wait']);
  for (;;) {
    await new Promise((x) => setTimeout(x, 1000));
    const s = await lab.cli(['watch', '--once', '--json']);
    try {
      const { state } = JSON.parse(s.stdout);
      if (state.question) {
        say(JSON.stringify(state.question, null, 1));
        if (state.question.kind === 'approval') say((await lab.cli(['approve', '--as', 'asha'])).stdout);
        else break;
      }
      if (state.phase !== 'open' && state.phase !== 'waiting') break;
    } catch (e) {
      say(s.stdout + s.stderr);
      break;
    }
  }
  say((await lab.cli(['watch', '--once'])).stdout);
  say('start said: ' + JSON.stringify(await Promise.race([p, new Promise((x) => setTimeout(x, 5000))])));
} catch (e) {
  console.error(e);
}
if (process.argv[2] === 'hold') {
  say('holding');
  await new Promise((x) => setTimeout(x, 600_000));
}
for (const [n, a] of Object.entries(lab.agents)) say(n + ': ' + a.tail());
say('control: ' + lab.control?.tail());
await lab.stop();
