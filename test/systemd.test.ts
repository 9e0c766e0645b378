// The systemd unit as systemd itself judges it, and as far as it must agree with other files of the package.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';

const root = resolve(import.meta.dirname, '..');
const unit = readFileSync(join(root, 'systemd/headgate.service'), 'utf8');
const sysusers = join(root, 'systemd/headgate.sysusers.conf');
/** More than this, on systemd's scale of 0 (safe) to 100, and someone took a protection away. */
const MAX_EXPOSURE = 25;

interface PipelineFile {
  sinks: Record<string, { base_dir?: string }>;
}

function run(command: string, ...args: string[]) {
  return spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, SYSTEMD_COLORS: '0' } });
}

/** The values of a setting, which may stand there several times. */
function setting(name: string): string[] {
  return unit
    .split('\n')
    .filter((line) => line.startsWith(`${name}=`))
    .flatMap((line) => line.slice(name.length + 1).split(' '));
}

/** The unit in a directory of its own, with a program that exists on this machine. */
function installed(t: { testdir(fixture: Record<string, string>): string }): string {
  const file = unit.replace('/usr/bin/headgate', process.execPath);
  return join(t.testdir({ 'headgate.service': file }), 'headgate.service');
}

const help = run('systemd-analyze', '--help').stdout ?? '';
const systemd = { skip: help === '' && 'systemd-analyze is not installed' };
const offline = {
  skip: !help.includes('--offline') && 'systemd-analyze is not installed, or has no --offline',
};

t.test('systemd finds nothing wrong with the unit', systemd, (t) => {
  const { status, stdout, stderr } = run('systemd-analyze', 'verify', installed(t));
  t.match({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  t.end();
});

t.test('systemd rates the exposure of the service as low', offline, (t) => {
  const { status, stdout } = run(
    'systemd-analyze',
    'security',
    '--offline=true',
    `--threshold=${MAX_EXPOSURE}`,
    installed(t),
  );
  t.equal(status, 0, `${stdout.trim().split('\n').at(-1)}, at most ${MAX_EXPOSURE / 10} is expected`);
  t.end();
});

t.test('sysusers makes the user that the service runs as', systemd, (t) => {
  const { status, stderr } = run('systemd-sysusers', '--dry-run', sysusers);
  t.equal(status, 0, stderr);
  t.match(readFileSync(sysusers, 'utf8'), new RegExp(`^u ${setting('User').join()} `, 'm'));
  t.end();
});

t.test('the service may write to the output of every pipeline that is shipped', (t) => {
  const writable = setting('LogsDirectory').map((name) => `/var/log/${name}`);
  for (const name of readdirSync(join(root, 'pipelines'))) {
    const { sinks } = parse(readFileSync(join(root, 'pipelines', name), 'utf8')) as PipelineFile;
    for (const { base_dir } of Object.values(sinks)) {
      if (base_dir !== undefined) t.ok(writable.includes(base_dir), `${name}: ${base_dir}`);
    }
  }
  t.end();
});

t.test('systemd does not restart a service whose configuration is wrong', (t) => {
  t.strictSame(setting('RestartPreventExitStatus'), ['2']);
  t.end();
});
