// Numbered audit events for crash tests: small, of a few namespaces, each line different, so that a line that is lost,
// doubled or out of order is found by its number.

export const NAMESPACES = ['team-a', 'team-b', 'kube-system', undefined] as const;

export interface NumberedLine {
  number: number;
  namespace: string;
  line: string;
}

/** Event `number`; its body is between 0 and `maxBodyBytes` long. */
export function numberedLine(number: number, atMs: number, maxBodyBytes = 600): NumberedLine {
  const namespace = NAMESPACES[((number * 7) % 11) % NAMESPACES.length];
  const body = 'x'.repeat((number * 131) % maxBodyBytes);
  const time = new Date(atMs).toISOString().replace('Z', '000Z');
  const objectRef =
    namespace === undefined
      ? ''
      : `"objectRef":{"resource":"pods","namespace":"${namespace}","name":"p${number}"},`;
  const line = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"${number}","stage":"ResponseComplete","requestURI":"/","verb":"get","user":{"username":"u"},${objectRef}"requestObject":{"data":"${body}"},"requestReceivedTimestamp":"${time}","stageTimestamp":"${time}"}`;
  return { number, namespace: namespace ?? 'none', line };
}

/** What is wrong with the lines found for one namespace; undefined where they are exactly the expected ones, in order. */
export function compareLines(
  namespace: string,
  found: readonly string[],
  expected: readonly string[],
): string | undefined {
  if (found.length === expected.length && found.every((line, i) => line === expected[i])) return undefined;
  const counts = new Map<string, number>();
  for (const line of found) counts.set(line, (counts.get(line) ?? 0) + 1);
  const lost = expected.filter((line) => !counts.has(line)).length;
  const doubled = [...counts.values()].filter((count) => count > 1).length;
  const known = new Set(expected);
  const strange = found.filter((line) => !known.has(line)).length;
  const what =
    lost + doubled + strange === 0 ? 'out of order' : `${lost} lost, ${doubled} doubled, ${strange} strange`;
  return `${namespace}: ${what} (${found.length} lines instead of ${expected.length})`;
}
