// Installs what a sink needs on its cluster, or tells what installing would change. All is read before anything is
// written: what is not Headgate's, or of a newer Headgate, is not replaced unless that is asked for. What the server
// lacks (lifecycles, for one) is told, and left out.
import type { Answer, ClusterRequest } from './cluster.js';
import { ClusterFault } from './cluster.js';
import { TEMPLATE_VERSION } from './mappings.js';
import type { Mapping } from './mappings.js';
import type { ElasticsearchOptions } from './options.js';
import { installationOf } from './templates.js';
import type { Installation, Resource } from './templates.js';

export interface SetupOptions {
  request: (request: ClusterRequest) => Promise<Answer>;
  /** A line for people. */
  say: (line: string) => void;
  isDryRun: boolean;
  /** Replace what is not Headgate's. */
  isForced: boolean;
  /** Begin a new index in data streams whose newest has other mappings. */
  withRollover: boolean;
}

/** How a resource on the server is to the one that is wanted. */
export type Comparison =
  | { state: 'missing' | 'same' | 'foreign' | 'newer' }
  /** `differences` are for people. */
  | { state: 'different'; differences: string[] };

/** A server's answer that the setup can't go on from. */
class SetupFault extends Error {}

/** Resolves to whether all is, or would be, as it should. Throws `ClusterFault` where there is no answer. */
export async function setUp(options: ElasticsearchOptions, setup: SetupOptions): Promise<boolean> {
  try {
    const hasLifecycles = await findLifecycles(options, setup);
    const installation = installationOf(options, hasLifecycles);
    const isInstalled = await install(installation, setup);
    if (isInstalled) await lookAtExisting(installation, setup);
    return isInstalled;
  } catch (error) {
    if (!(error instanceof SetupFault || error instanceof ClusterFault)) throw error;
    setup.say(`failed     ${error.message}`);
    return false;
  }
}

/** Whether the server has lifecycle policies, where one is wanted. */
async function findLifecycles(
  options: ElasticsearchOptions,
  { request, say }: SetupOptions,
): Promise<boolean> {
  if (options.flavor === 'opensearch') {
    say(
      'skipped    lifecycle: OpenSearch has Index State Management instead; its policies are yours to make',
    );
    return false;
  }
  const [policy] = installationOf(options).resources;
  if (policy?.kind !== 'lifecycle policy') return false;
  const answer = await request({ method: 'GET', path: policy.path });
  if (!isUnsupported(answer)) return true;
  say(
    'skipped    lifecycle: this server has no lifecycle policies (ILM); indices grow until you roll them over',
  );
  return false;
}

async function install({ resources }: Installation, setup: SetupOptions): Promise<boolean> {
  const compared: { resource: Resource; comparison: Comparison }[] = [];
  for (const resource of resources) {
    const answer = await setup.request({ method: 'GET', path: resource.path });
    compared.push({ resource, comparison: compare(resource, foundIn(resource, answer)) });
  }
  const refused = setup.isForced ? [] : compared.filter(({ comparison: { state } }) => isRefused(state));
  for (const { resource, comparison } of refused) {
    const why =
      comparison.state === 'newer'
        ? 'was installed by a newer Headgate'
        : 'is not Headgate’s: `_meta.managed_by` does not say so';
    setup.say(`refused    ${resource.kind} ${resource.name}: it ${why}; \`--force\` replaces it`);
  }
  if (refused.length > 0) return false;
  for (const { resource, comparison } of compared) {
    const { kind, name, path, body } = resource;
    const verb = VERBS[comparison.state];
    if (verb !== undefined && !setup.isDryRun)
      expectOk(await setup.request({ method: 'PUT', path, body }), path);
    const said = verb === undefined ? 'unchanged' : setup.isDryRun ? `would ${verb}` : `${verb}d`;
    setup.say(`${said.padEnd(10)} ${kind} ${name}`);
    if (comparison.state === 'different')
      for (const each of comparison.differences) setup.say(`             ${each}`);
  }
  return true;
}

const VERBS: Readonly<Record<Comparison['state'], string | undefined>> = {
  missing: 'create',
  same: undefined,
  different: 'change',
  foreign: 'replace',
  newer: 'replace',
};

function isRefused(state: Comparison['state']): boolean {
  return state === 'foreign' || state === 'newer';
}

/** What the server has in its place; undefined where there is nothing. */
function foundIn({ kind, name, path }: Resource, answer: Answer): Mapping | undefined {
  if (answer.status === 404) return undefined;
  expectOk(answer, path);
  const body = objectOf(answer.body);
  if (kind === 'lifecycle policy') return { policy: objectOf(objectOf(body[name])['policy']) };
  const [list, member] =
    kind === 'index template'
      ? ['index_templates', 'index_template']
      : ['component_templates', 'component_template'];
  const found = body[list];
  const first: unknown = Array.isArray(found) ? found[0] : undefined;
  return first === undefined ? undefined : objectOf(objectOf(first)[member]);
}

/** Holds what was found against what is wanted; what is there besides does not count. */
export function compare({ kind, body }: Resource, found: Mapping | undefined): Comparison {
  if (!found) return { state: 'missing' };
  const holder = kind === 'lifecycle policy' ? objectOf(found['policy']) : found;
  const meta = objectOf(holder['_meta']);
  if (meta['managed_by'] !== 'headgate') return { state: 'foreign' };
  const version = kind === 'lifecycle policy' ? meta['version'] : found['version'];
  if (typeof version === 'number' && version > TEMPLATE_VERSION) return { state: 'newer' };
  const all = differencesOf(body, found, '');
  const others = all.filter((each) => !each.includes('._meta.'));
  // What is said of the mappings in their `_meta` says nothing beside the difference itself.
  const differences = others.length > 0 ? others : all;
  return differences.length === 0 ? { state: 'same' } : { state: 'different', differences };
}

/** The server gives numbers and flags of settings back as text. */
function differencesOf(wanted: unknown, found: unknown, path: string): string[] {
  if (isObject(wanted)) {
    if (!isObject(found)) return [differenceOf(path, wanted, found)];
    const below = (key: string): string => (path === '' ? key : `${path}.${key}`);
    return Object.entries(wanted).flatMap(([key, each]) => differencesOf(each, found[key], below(key)));
  }
  const isSame = Array.isArray(wanted)
    ? JSON.stringify(wanted) === JSON.stringify(found)
    : isScalar(found) && String(wanted) === String(found);
  return isSame ? [] : [differenceOf(path, wanted, found)];
}

const LONGEST_SHOWN = 100;

function differenceOf(path: string, wanted: unknown, found: unknown): string {
  const show = (value: unknown): string =>
    value === undefined ? 'nothing' : JSON.stringify(value).slice(0, LONGEST_SHOWN);
  return `${path}: ${show(found)} → ${show(wanted)}`;
}

interface Resolved {
  indices: { name: string; data_stream?: string }[];
  data_streams: { name: string; backing_indices: string[] }[];
}

/** A template is for indices to come: tells what that means for those that are there. */
async function lookAtExisting(installation: Installation, setup: SetupOptions): Promise<void> {
  const { patterns, isDataStream, only } = installation;
  const { indices, data_streams: streams } = await resolve(patterns, setup);
  const plain = indices.filter(({ data_stream: stream }) => stream === undefined).map(({ name }) => name);
  if (isDataStream && plain.includes(only ?? ''))
    setup.say(`note       ${only} is an index, not a data stream: events go on into it as it is`);
  if (isDataStream && only !== undefined && streams.length + plain.length === 0)
    await makeDataStream(only, setup);
  if (streams.length + plain.length === 0) return;
  const isCurrent = await currentIndices(installation, setup);
  for (const { name, backing_indices: backing } of streams) {
    if (isCurrent.has(backing.at(-1) ?? '')) continue;
    if (setup.withRollover && !setup.isDryRun) {
      expectOk(await setup.request({ method: 'POST', path: `/${encodeURIComponent(name)}/_rollover` }), name);
      setup.say(
        `rolled     data stream ${name}: new events get the mappings; ${backing.length} older keep theirs`,
      );
    } else {
      const how = setup.withRollover
        ? 'would be rolled over'
        : '`--rollover` begins a new one that gets them';
      setup.say(`note       data stream ${name}: its newest index has other mappings; ${how}`);
    }
  }
  const old = plain.filter((name) => !isCurrent.has(name));
  const [first] = old;
  if (first === undefined) return;
  const count = old.length === 1 ? first : `${first} and ${old.length - 1} more`;
  setup.say(`note       indices with other mappings, which they keep unless you reindex them: ${count}`);
}

/** One pattern at a time: of several, one that nothing has is an error. */
async function resolve(patterns: readonly string[], { request }: SetupOptions): Promise<Resolved> {
  const found: Resolved = { indices: [], data_streams: [] };
  for (const pattern of patterns) {
    const path = `/_resolve/index/${encodeURIComponent(pattern)}`;
    const answer = await request({ method: 'GET', path });
    if (answer.status === 404) continue;
    expectOk(answer, path);
    const { indices, data_streams: streams } = answer.body as Resolved;
    found.indices.push(...indices);
    found.data_streams.push(...streams);
  }
  return { indices: byName(found.indices), data_streams: byName(found.data_streams) };
}

/** Each once: patterns can have names in common. */
function byName<T extends { name: string }>(all: readonly T[]): T[] {
  return [...new Map(all.map((each) => [each.name, each])).values()];
}

/** Names of indices that have these mappings. */
async function currentIndices({ patterns, digest }: Installation, setup: SetupOptions): Promise<Set<string>> {
  const names = patterns.map(encodeURIComponent).join(',');
  const query = 'filter_path=*.mappings._meta&ignore_unavailable=true&allow_no_indices=true';
  const path = `/${names}/_mapping?${query}`;
  const answer = await setup.request({ method: 'GET', path });
  expectOk(answer, path);
  const found = Object.entries(objectOf(answer.body)).filter(
    ([, index]) => objectOf(objectOf(objectOf(index)['mappings'])['_meta'])['digest'] === digest,
  );
  return new Set(found.map(([name]) => name));
}

/** Else the first event makes it, for which whoever sends it needs a right more. */
async function makeDataStream(name: string, { request, say, isDryRun }: SetupOptions): Promise<void> {
  if (isDryRun) {
    say(`would create data stream ${name}`);
    return;
  }
  const path = `/_data_stream/${encodeURIComponent(name)}`;
  const answer = await request({ method: 'PUT', path });
  if (isUnsupported(answer)) say(`skipped    data stream ${name}: the first event makes it`);
  else {
    expectOk(answer, path);
    say(`created    data stream ${name}`);
  }
}

/** What a server answers that does not know such requests: Elasticsearch `RestController`; 410 on Elastic Cloud Serverless. */
function isUnsupported({ status, body }: Answer): boolean {
  if (status === 405 || status === 410) return true;
  const error = objectOf(body)['error'];
  return status === 400 && typeof error === 'string' && error.startsWith('no handler found');
}

function expectOk({ status, body }: Answer, what: string): void {
  if (status >= 200 && status < 300) return;
  const error = objectOf(objectOf(body)['error']);
  const reason = typeof error['reason'] === 'string' ? `: ${error['reason']}` : '';
  const hint =
    status === 403
      ? '; it needs `manage_index_templates`, `manage_ilm` and, on the index, `manage`'
      : status === 401
        ? '; the credentials are not valid'
        : '';
  throw new SetupFault(`${what} was answered with ${status}${reason}${hint}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
function objectOf(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}
function isScalar(value: unknown): value is string | number | boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
