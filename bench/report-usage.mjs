// Preloaded into a measured process (`node --import`): reports what the process used, on descriptor 3, as the last
// thing it does. The kernel's own account of the whole process with all its threads is exact; polling /proc from
// outside would miss the end, and Node can't ask for the usage of a child.
import { readFileSync, writeSync } from 'node:fs';

// Not ru_maxrss: Linux lets a child inherit it from the process that started it.
function peakBytes() {
  const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match?.[1]) * 1024;
}

process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  writeSync(3, JSON.stringify({ cpuSeconds: (user + system) / 1e6, peakBytes: peakBytes() }));
});
