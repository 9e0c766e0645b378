// One pipeline file from its YAML value to a PipelineConfig. Each component is chosen by its `type` first, so that
// its options are held against one schema only and every message is about that component. Nothing stops at the
// first fault, and what follows from a reported fault is not reported again.
import { basename } from 'node:path';
import { KNOWN_FIELDS } from '../event/audit.js';
import type { Shape } from '../event/shape.js';
import type { ComponentDefinition } from '../pipeline/component.js';
import { checkOptions } from './check-options.js';
import { checkRoutes } from './check-routes.js';
import { closest } from './closest.js';
import type { ConfigDocument, ValuePath } from './document.js';
import { checkName } from './formats.js';
import { knownFields } from './known-fields.js';
import { pipelineSchema } from './pipeline-config.js';
import type { ComponentConfig, PipelineConfig, PipelineTest, RouteConfig } from './pipeline-config.js';
import { millisecondsOf } from './units.js';

/** What is known of a pipeline, faulty or not. */
export interface Validated {
  document: ConfigDocument;
  /** Undefined where the file doesn't tell. */
  name: string | undefined;
  /** Undefined where it is no component. */
  source: ComponentConfig | undefined;
  /** Undefined for sinks that are no components. */
  sinks: ReadonlyMap<string, ComponentConfig | undefined>;
  /** Undefined where there is any fault. */
  config: PipelineConfig | undefined;
}

/** Reports every fault of one document to it. */
export function validatePipeline(
  document: ConfigDocument,
  definitions: readonly ComponentDefinition[],
): Validated {
  if (!isMapping(document.value)) {
    const message = 'a pipeline file is a mapping with `source:`, `routes:` and `sinks:`';
    if (document.value !== undefined) document.report([], { code: 'CONFIG_TYPE', message });
    return { document, name: undefined, source: undefined, sinks: new Map(), config: undefined };
  }
  // Before the routes are looked at: they may name what the processors make, and so may sinks.
  const known = knownFields(definitions, document.value['processors']);
  const filled = checkOptions(document, [], 'the pipeline', pipelineSchema, document.value, known.behind);
  if (!isMapping(filled)) throw new Error('impossible: defaults made another value of a mapping');

  const name = pipelineName(document, filled);
  const component = (kind: ComponentDefinition['kind'], path: ValuePath, value: unknown, shape: Shape) =>
    checkComponent(document, definitions, kind, path, value, shape);
  const source = component('source', ['source'], filled['source'], KNOWN_FIELDS);
  const processors = asList(filled['processors']).map((value, i) =>
    component('processor', ['processors', i], value, known.before[i] ?? known.behind),
  );
  const sinks = new Map<string, ComponentConfig | undefined>();
  for (const [sink, value] of Object.entries(isMapping(filled['sinks']) ? filled['sinks'] : {})) {
    checkSinkName(document, sink);
    sinks.set(sink, component('sink', ['sinks', sink], value, known.behind));
  }
  checkRoutes(document, filled, [...sinks.keys()]);
  if (document.diagnostics.length > 0) return { document, name, source, sinks, config: undefined };

  const routes = (filled['routes'] as { when?: unknown; to: string | string[] }[]).map(
    (route): RouteConfig => ({ ...route, to: [route.to].flat() }),
  );
  const config: PipelineConfig = {
    name: name ?? '',
    file: document.file,
    source: source as ComponentConfig,
    processors: processors as ComponentConfig[],
    routes,
    ...(filled['otherwise'] === undefined ? {} : { otherwise: 'drop' }),
    sinks: sinks as Map<string, ComponentConfig>,
    ...commitInterval(definitions, filled, sinks as Map<string, ComponentConfig>),
    quarantine: filled['quarantine'] as { max_bytes: string },
    tests: filled['tests'] as PipelineTest[],
  };
  return { document, name, source, sinks, config };
}

function pipelineName(document: ConfigDocument, filled: Record<string, unknown>): string | undefined {
  if (Object.hasOwn(filled, 'pipeline')) {
    return typeof filled['pipeline'] === 'string' ? filled['pipeline'] : undefined;
  }
  const name = basename(document.file).replace(/\.ya?ml$/, '');
  for (const { code, message } of checkName(name)) {
    document.reportFile({
      code,
      message: `the file's name is no name for a pipeline: ${message}`,
      hint: 'rename the file, or say `pipeline: NAME` in it',
    });
  }
  return name;
}

function checkSinkName(document: ConfigDocument, name: string): void {
  for (const fault of checkName(name)) document.report(['sinks', name], { ...fault, atKey: true });
  if (name === 'quarantine') {
    const message = 'no sink can have the name `quarantine`: the pipeline has one of its own';
    document.report(['sinks', name], { code: 'CONFIG_VALUE', message, atKey: true });
  }
}

function checkComponent(
  document: ConfigDocument,
  definitions: readonly ComponentDefinition[],
  kind: ComponentDefinition['kind'],
  path: ValuePath,
  value: unknown,
  shape: Shape,
): ComponentConfig | undefined {
  if (value === undefined) return undefined;
  const known = definitions.filter((definition) => definition.kind === kind);
  const types = known.map((definition) => definition.name);
  const hint = `types of ${kind}s: ${types.join(', ')}`;
  const example = known[0] === undefined ? kind : known[0].name;
  if (!isMapping(value)) {
    const message = `a ${kind} is a mapping with a \`type\`, found ${document.quote(path)}`;
    document.report(path, { code: 'CONFIG_TYPE', message, hint });
    return undefined;
  }
  const { type, ...options } = value;
  const typePath = [...path, 'type'];
  if (type === undefined) {
    const message = `a ${kind} needs a \`type\`, such as \`type: ${example}\``;
    document.report(typePath, { code: 'CONFIG_MISSING', message, hint });
    return undefined;
  }
  if (typeof type !== 'string') {
    const message = `\`type\` must be the name of a ${kind}, found ${document.quote(typePath)}`;
    document.report(typePath, { code: 'CONFIG_TYPE', message, hint });
    return undefined;
  }
  const definition = known.find((candidate) => candidate.name === type);
  if (!definition) {
    const near = closest(type, types);
    document.report(typePath, {
      code: 'CONFIG_UNKNOWN_COMPONENT',
      message: `there is no ${kind} ${document.quote(typePath)}`,
      hint: near === undefined ? hint : `did you mean \`${near}\`?`,
    });
    return undefined;
  }
  const faultCount = document.diagnostics.length;
  const owner = `the \`${type}\` ${kind}`;
  const filled = checkOptions(document, path, owner, definition.options, options, shape) as Record<
    string,
    unknown
  >;
  // A component's own checks rely on its schema.
  if (document.diagnostics.length === faultCount && !document.hasBrokenPart(path)) {
    for (const fault of definition.validate?.(filled, shape) ?? []) document.reportForeign(path, fault, true);
  }
  return { type, options: filled };
}

/** What the file says; else the longest that a sink wants. */
function commitInterval(
  definitions: readonly ComponentDefinition[],
  filled: Record<string, unknown>,
  sinks: ReadonlyMap<string, ComponentConfig>,
): Pick<PipelineConfig, 'commit_interval' | 'commitIntervalFor'> {
  if (typeof filled['commit_interval'] === 'string') return { commit_interval: filled['commit_interval'] };
  let chosen: Pick<PipelineConfig, 'commit_interval' | 'commitIntervalFor'> = { commit_interval: '1s' };
  for (const [name, { type, options }] of sinks) {
    const definition = definitions.find((each) => each.kind === 'sink' && each.name === type);
    const wanted = definition?.kind === 'sink' ? definition.commitInterval?.(options) : undefined;
    if (wanted !== undefined && millisecondsOf(wanted) > millisecondsOf(chosen.commit_interval))
      chosen = { commit_interval: wanted, commitIntervalFor: name };
  }
  return chosen;
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
