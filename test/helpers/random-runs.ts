/** How many random cases a test tries: `usual`, or as many as HEADGATE_RANDOM_RUNS asks for where that is more. */
export function randomRuns(usual: number): number {
  return Math.max(usual, Number(process.env['HEADGATE_RANDOM_RUNS'] ?? 0));
}
