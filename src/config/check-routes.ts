// Routes against each other and against the sinks: every event has a way, every route can be reached, every sink
// gets something.
import { closest } from './closest.js';
import type { ConfigDocument } from './document.js';

/** Reports every fault of the routes of `pipeline`; what is not even a route has been reported by its schema. */
export function checkRoutes(
  document: ConfigDocument,
  pipeline: Readonly<Record<string, unknown>>,
  sinks: readonly string[],
): void {
  const routes = pipeline['routes'];
  // `undefined`: a part that was reported when the file was read.
  if (!Array.isArray(routes) || routes.length === 0 || routes.includes(undefined)) return;
  const named = new Set<string>();
  const areAllRoutes = routes.every(isMapping);
  let areTargetsKnown = true;
  let unconditionalAt = -1;
  for (const [i, route] of (routes as unknown[]).entries()) {
    if (!isMapping(route)) continue;
    if (unconditionalAt >= 0) {
      document.report(['routes', i], {
        code: 'CONFIG_UNREACHABLE',
        message: `no event reaches this route: route ${unconditionalAt + 1} takes every event`,
        hint: 'put the route without `when` last',
      });
    }
    if (unconditionalAt < 0 && !Object.hasOwn(route, 'when')) unconditionalAt = i;
    if (!checkTargets(document, i, route['to'], sinks, named)) areTargetsKnown = false;
  }
  if (!areAllRoutes) return;
  checkOtherwise(document, routes.length, unconditionalAt, Object.hasOwn(pipeline, 'otherwise'), sinks);
  if (!areTargetsKnown) return;
  for (const sink of sinks) {
    if (named.has(sink)) continue;
    document.report(['sinks', sink], {
      code: 'CONFIG_ROUTE',
      message: `no route leads to the sink \`${sink}\``,
      hint: 'name it in the `to` of a route, or take it away',
      atKey: true,
    });
  }
}

/** Adds the sinks of one route to `named`; false where something can't be told of them. */
function checkTargets(
  document: ConfigDocument,
  route: number,
  to: unknown,
  sinks: readonly string[],
  named: Set<string>,
): boolean {
  let areAllKnown = to !== undefined;
  const seen = new Set<unknown>();
  for (const [i, target] of [to].flat().entries()) {
    const path = Array.isArray(to) ? ['routes', route, 'to', i] : ['routes', route, 'to'];
    if (typeof target !== 'string') {
      areAllKnown = false;
    } else if (!sinks.includes(target)) {
      areAllKnown = false;
      // Without any sink that alone is the fault.
      if (sinks.length === 0) continue;
      const near = closest(target, sinks);
      document.report(path, {
        code: 'CONFIG_ROUTE',
        message: `there is no sink ${document.quote(path)}`,
        hint: near === undefined ? `sinks: ${sinks.join(', ')}` : `did you mean \`${near}\`?`,
      });
    } else if (seen.has(target)) {
      document.report(path, {
        code: 'CONFIG_ROUTE',
        message: `${document.quote(path)} is named twice: it would get each event twice`,
        hint: 'take one of the two away',
      });
    }
    seen.add(target);
    if (typeof target === 'string') named.add(target);
  }
  return areAllKnown;
}

function checkOtherwise(
  document: ConfigDocument,
  routeCount: number,
  unconditionalAt: number,
  hasOtherwise: boolean,
  sinks: readonly string[],
): void {
  if (unconditionalAt < 0 && !hasOtherwise) {
    document.report(['routes', routeCount - 1], {
      code: 'CONFIG_OTHERWISE',
      message: 'the last route is conditional: what becomes of events that no route matches?',
      hint: `add a last route \`- to: ${sinks[0] ?? 'SINK'}\`, or \`otherwise: drop\` beside \`routes\``,
    });
  } else if (unconditionalAt >= 0 && hasOtherwise) {
    document.report(['otherwise'], {
      code: 'CONFIG_OTHERWISE',
      message: `\`otherwise\` can never apply: route ${unconditionalAt + 1} takes every event`,
      hint: 'take `otherwise` away',
      atKey: true,
    });
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
