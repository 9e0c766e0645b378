import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  holderOf,
  lockState,
  makeStateDirectory,
  stateDirectory,
} from '../../src/position/state-directory.js';
import { temporaryDirectory } from '../helpers/temporary.js';

t.test('the option wins, then systemd, then the usual place', async (t) => {
  t.equal(stateDirectory('/x', { STATE_DIRECTORY: '/y' }), '/x');
  t.equal(stateDirectory(undefined, { STATE_DIRECTORY: '/y:/z' }), '/y');
  if (process.getuid?.() === 0) {
    t.equal(stateDirectory(undefined, {}), '/var/lib/headgate');
  } else {
    t.equal(stateDirectory(undefined, { XDG_STATE_HOME: '/s' }), '/s/headgate');
    t.match(stateDirectory(undefined, { XDG_STATE_HOME: 'relative' }), /\.local\/state\/headgate$/);
  }
});

t.test('the directory is made with mode 0700', async (t) => {
  const directory = join(temporaryDirectory(t), 'a/b');
  makeStateDirectory(directory);
  t.equal(statSync(directory).mode & 0o777, 0o700);
});

t.test('a second process is refused and told the pid of the first', async (t) => {
  const directory = temporaryDirectory(t);
  const lock = await lockState(directory);
  await t.rejects(lockState(directory), { code: 'STATE_LOCKED', message: new RegExp(`pid ${process.pid}`) });
  await lock.release();
  const again = await lockState(directory);
  await again.release();
  t.same(readdirSync(directory), []);
});

t.test('the lock of a process that was killed is taken over', async (t) => {
  const directory = temporaryDirectory(t);
  const socket = join(directory, 'headgate.sock');
  const code = `require('node:net').createServer().listen(${JSON.stringify(socket)}, () => console.log('x'))`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.ok(existsSync(socket), 'it left its socket');
  t.equal(await holderOf(socket), undefined);
  const lock = await lockState(directory);
  t.equal(await holderOf(socket), process.pid);
  await lock.release();
});

t.test('of many that start at once one gets the lock', async (t) => {
  const directory = temporaryDirectory(t);
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockState(directory)));
  const won = results.filter((result) => result.status === 'fulfilled');
  t.equal(won.length, 1);
  for (const { value } of won) await value.release();
});

t.test('a socket path that does not fit is refused in words', async (t) => {
  await t.rejects(lockState(`/tmp/${'x'.repeat(100)}`), { code: 'STATE_SOCKET_PATH', message: /107 bytes/ });
});
