// What `headgate elasticsearch setup` installs for a sink: component templates with its mappings and settings, an index
// template for the names that its `index` can make, and a lifecycle policy. Made of the options alone, always the same.
import { createHash } from 'node:crypto';
import { bytesOf } from '../../config/units.js';
import { toText } from '../../event/byte-string.js';
import type { PathPart } from '../files/path-template.js';
import { indexTemplateOf } from './index-name.js';
import { mappingsOf, TEMPLATE_VERSION } from './mappings.js';
import type { Mapping } from './mappings.js';
import type { ElasticsearchOptions } from './options.js';

/** What is sent to the server to have one of them; it is read at the same path. */
export interface Resource {
  kind: 'lifecycle policy' | 'component template' | 'index template';
  name: string;
  path: string;
  body: Mapping;
}

export interface Installation {
  /** Of the index template, and what the names of the others begin with. */
  name: string;
  /** What the names are like that it is for, with `*`. */
  patterns: readonly string[];
  isDataStream: boolean;
  /** The one name, where `index` makes no other. */
  only: string | undefined;
  /** Tells its mappings from others in the `_meta` of an index. */
  digest: string;
  /** In the order in which they need each other. */
  resources: readonly Resource[];
}

/** Above the server's own (`logs` has 100) and those of Elastic's integrations (200). */
const PRIORITY = 500;
const MAX_EXTRA_PRIORITY = 400;
const META = { managed_by: 'headgate' };

export function installationOf(options: ElasticsearchOptions, hasLifecycles = true): Installation {
  const parts = partsOf(options.index);
  const patterns = patternsOf(options, parts);
  const [pattern = ''] = patterns;
  const name = `headgate-${pattern.replaceAll('*', '_')}`;
  const isDataStream = options.setup.data_stream ?? !parts.some(({ kind }) => kind === 'time');
  const policy = hasLifecycles ? policyOf(options, isDataStream) : undefined;
  const { mappings, digest } = withDigest(mappingsOf(options));
  const settings = settingsOf(options, policy && name);
  const component = (suffix: string, template: Mapping): Resource =>
    resource('component template', `${name}@${suffix}`, '/_component_template/', {
      version: TEMPLATE_VERSION,
      _meta: META,
      template,
    });
  const components = [component('mappings', { mappings }), component('settings', { settings })];
  const custom = `${name}@custom`;
  const isElastic = options.flavor === 'elasticsearch';
  const template = resource('index template', name, '/_index_template/', {
    index_patterns: patterns,
    // Of two that a name matches the one that says more of it has to win, and equal ones are refused.
    priority: PRIORITY + Math.min(pattern.replaceAll('*', '').length, MAX_EXTRA_PRIORITY),
    version: TEMPLATE_VERSION,
    _meta: META,
    ...(isDataStream && { data_stream: {} }),
    composed_of: [...components.map((each) => each.name), ...(isElastic ? [custom] : [])],
    // What an operator wants besides goes there, and stays there when this is installed anew.
    ...(isElastic && { ignore_missing_component_templates: [custom] }),
  });
  const resources = [...components, template];
  if (policy) resources.unshift(resource('lifecycle policy', name, '/_ilm/policy/', { policy }));
  const only = parts.every(({ kind }) => kind === 'text') ? pattern : undefined;
  return { name, patterns, isDataStream, only, digest, resources };
}

function resource(kind: Resource['kind'], name: string, path: string, body: Mapping): Resource {
  return { kind, name, path: path + encodeURIComponent(name), body };
}

function partsOf(index: string): readonly PathPart[] {
  return indexTemplateOf(index).parts;
}

function patternOf(parts: readonly PathPart[]): string {
  const text = parts.map((part) => (part.kind === 'text' ? toText(part.text) : '*')).join('');
  return text.replace(/\*+/g, '*');
}

/** What the names of an index and its overflow look like; the first is that of the index. */
function patternsOf({ index, overflow_index }: ElasticsearchOptions, parts: readonly PathPart[]): string[] {
  const patterns = [patternOf(parts)];
  const firstValue = parts.findIndex(({ kind }) => kind === 'value');
  if (firstValue < 0) return patterns;
  const start = patternOf(parts.slice(0, firstValue));
  // A name that is cut to fit loses what follows the value, and ends in `_` and a digest.
  if (firstValue < parts.length - 1) patterns.push(`${start}*_*`);
  const [first] = partsOf(index);
  const overflow = overflow_index ?? `${first ? patternOf([first]) : ''}overflow`;
  patterns.push(patternOf(partsOf(overflow)));
  return patterns.filter((each, i) => !patterns.slice(0, i).some((other) => matchesPattern(other, each)));
}

/** Whether a name, or all that a pattern stands for, matches a pattern of the server. */
export function matchesPattern(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop() ?? '';
  for (const piece of rest) {
    const found = name.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

function withDigest(mappings: Mapping): { mappings: Mapping; digest: string } {
  const digest = createHash('sha256').update(JSON.stringify(mappings)).digest('hex').slice(0, 16);
  return { mappings: { ...mappings, _meta: { ...(mappings['_meta'] as Mapping), digest } }, digest };
}

/** Written as the server gives them back: nested, and as text. */
function settingsOf({ flavor, setup }: ElasticsearchOptions, policy: string | undefined): Mapping {
  return {
    index: {
      // Else the server may make it `logsdb`, which makes the source anew, from what was indexed of it.
      ...(flavor === 'elasticsearch' && { mode: 'standard' }),
      codec: 'best_compression',
      mapping: { ignore_malformed: 'true' },
      ...(setup.shards !== undefined && { number_of_shards: String(setup.shards) }),
      ...(setup.replicas !== undefined && { number_of_replicas: String(setup.replicas) }),
      ...(policy !== undefined && { lifecycle: { name: policy } }),
    },
  };
}

/** Undefined where there is nothing to be done with an index while it lives, or in the end. */
function policyOf({ flavor, setup }: ElasticsearchOptions, isDataStream: boolean): Mapping | undefined {
  const { rollover_bytes, rollover_age, keep_age } = setup.lifecycle;
  if (flavor === 'opensearch' || (!isDataStream && keep_age === undefined)) return undefined;
  // The server's units are the same, but its `gb` is our `GiB`.
  const rollover = { max_primary_shard_size: `${bytesOf(rollover_bytes)}b`, max_age: rollover_age };
  return {
    _meta: { ...META, version: TEMPLATE_VERSION },
    phases: {
      hot: { min_age: '0ms', actions: isDataStream ? { rollover } : {} },
      ...(keep_age !== undefined && { delete: { min_age: keep_age, actions: { delete: {} } } }),
    },
  };
}
