// Keeps events from an index that would fall under Elasticsearch's own template `logs` (patterns `logs-*-*`): under its
// dynamic mappings bodies are rejected, and what is once in an index with wrong mappings can only be indexed anew. It is
// looked before the first request, and again after each fault of the way to the server, which may be another one then.
// Where looking is not allowed, that is told, and events go on.
import type { Logger } from '../../log.js';
import { ClusterFault } from './cluster.js';
import type { Answer, ClusterRequest } from './cluster.js';
import type { ElasticsearchOptions } from './options.js';
import { installationOf, matchesPattern } from './templates.js';

/** elastic/elasticsearch `x-pack/plugin/core/template-resources/src/main/resources/logs@template.json`. */
const BUILTIN = 'logs';
const BUILTIN_PATTERN = 'logs-*-*';
/** The server is not ready, or too busy to say. */
const LATER = [401, 429, 502, 503, 504];

type Request = (request: ClusterRequest) => Promise<Answer>;

/** Makes requests wait, as `ClusterFault`s, while they should not be sent; the same function where nothing has to be guarded. */
export function guardTemplate(
  options: ElasticsearchOptions,
  request: Request,
  { log, component }: { log: Logger; component: string },
): Request {
  if (options.flavor === 'opensearch' || options.builtin_template === 'use') return request;
  const names = installationOf(options)
    .patterns.map((pattern) => pattern.replaceAll('*', 'x'))
    .filter((name) => matchesPattern(BUILTIN_PATTERN, name));
  if (names.length === 0) return request;
  let checked: Promise<void> | undefined;
  let isTold = false;
  const check = async (): Promise<void> => {
    for (const name of names) {
      const unknown = await checkName(name, request);
      if (unknown === undefined || isTold) continue;
      isTold = true;
      const cause = `${unknown} (right \`manage_index_templates\`)`;
      const text = `can't tell whether ${name} has a template of its own: run \`headgate elasticsearch setup\` once`;
      log.warn({ code: 'SINK_TEMPLATE', component, cause }, text);
    }
  };
  return async (each) => {
    try {
      await (checked ??= check());
      return await request(each);
    } catch (error) {
      checked = undefined;
      throw error;
    }
  };
}

/** Throws where events have to wait; resolves to why it can't be told, or to undefined where all is well. */
async function checkName(name: string, request: Request): Promise<string | undefined> {
  const encoded = encodeURIComponent(name);
  const simulated = await answered(request, 'POST', `/_index_template/_simulate_index/${encoded}`);
  if (typeof simulated === 'string') return simulated;
  const { template, overlapping = [] } = simulated as Simulated;
  if (template?.mappings?._meta?.managed_by === 'headgate') return undefined;
  // It is told of where another one goes before it.
  if (overlapping.some((each) => each.name === BUILTIN)) return undefined;
  const builtin = await answered(request, 'GET', `/_index_template/${BUILTIN}`);
  if (typeof builtin === 'string') return builtin;
  const { index_templates: templates = [] } = builtin as Templates;
  const patterns = templates.flatMap((each) => each.index_template?.index_patterns ?? []);
  if (!patterns.some((pattern) => matchesPattern(pattern, name))) return undefined;
  throw new ClusterFault(
    `${name} would fall under the server's own template \`${BUILTIN}\`, whose mappings reject bodies: run \`headgate elasticsearch setup\`, or say \`builtin_template: use\``,
  );
}

/** As far as they are read. */
interface Simulated {
  template?: { mappings?: { _meta?: { managed_by?: unknown } } };
  overlapping?: { name?: unknown }[];
}
interface Templates {
  index_templates?: { index_template?: { index_patterns?: string[] } }[];
}

/** The body of an answer (nothing where there is no such template), or why there is none. */
async function answered(request: Request, method: 'GET' | 'POST', path: string): Promise<string | object> {
  const { status, body, retryAfterMs } = await request({ method, path });
  if (LATER.includes(status))
    throw new ClusterFault(`looking for the template was answered with ${status}`, retryAfterMs);
  if (status === 404 && method === 'GET') return {};
  if (status !== 200 || typeof body !== 'object' || body === null) return `answered with ${status}`;
  return body;
}
