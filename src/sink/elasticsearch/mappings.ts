// The mappings of documents: which fields can be searched, and as what. Their rule is that no event is rejected for them
// and none makes them grow: nothing is dynamic, what clients fill as they like is `flattened`, what has the wrong form is
// ignored as a value and kept in `_source`, and no term can be longer than Lucene takes.
import { annotationKey } from './ecs.js';
import type { ElasticsearchOptions } from './options.js';

/** Raised whenever what is installed changes. */
export const TEMPLATE_VERSION = 1;

/** What decides the mappings. */
export type MappedOptions = Pick<ElasticsearchOptions, 'format' | 'bodies' | 'flavor'>;

/** A part of a mapping as the server takes it. */
export type Mapping = { readonly [key: string]: unknown };

/**
 * A term has at most 32,766 bytes (Lucene `IndexWriter.MAX_TERM_LENGTH`); `ignore_above` counts characters, of up to 4
 * bytes. What is longer is not indexed, and stays in `_source`.
 */
const LONGEST_KEYWORD = 8191;
/** The term of a value in a flattened field has its path in front: with 3 bytes a UTF-16 unit it leaves 29 KB for that. */
const LONGEST_FLATTENED = 1024;
/** 20 by default; the server itself reads no deeper than 1,000. */
const DEEPEST_FLATTENED = 1000;

const keyword: Mapping = { type: 'keyword', ignore_above: LONGEST_KEYWORD };
const text: Mapping = { type: 'text' };
const ip: Mapping = { type: 'ip' };
const integer: Mapping = { type: 'integer' };
const long: Mapping = { type: 'long' };
const time: Mapping = { type: 'date_nanos' };
const flattened: Mapping = {
  type: 'flattened',
  depth_limit: DEEPEST_FLATTENED,
  ignore_above: LONGEST_FLATTENED,
};
const kept: Mapping = { type: 'object', enabled: false };

const keywords = (...names: string[]): Mapping => Object.fromEntries(names.map((name) => [name, keyword]));
const object = (properties: Mapping): Mapping => ({ properties });

/** The mappings of an index for these options. */
export function mappingsOf(options: MappedOptions): Mapping {
  const event = eventProperties(options);
  const properties = {
    // Of a data stream it has to be a valid time, which the sink sees to.
    '@timestamp': { ...time, ignore_malformed: false },
    host: object(keywords('name')),
    log: object({ file: object(keywords('path')), offset: long }),
    headgate: object(keywords('pipeline', 'tag')),
  };
  const own =
    options.format === 'ecs'
      ? { ...ecsProperties, kubernetes: object({ audit: object(event) }) }
      : {
          event: object({ ingested: time, duration: long }),
          orchestrator: object({ cluster: object(keywords('name')) }),
          ...event,
        };
  const { format, bodies } = options;
  return {
    dynamic: false,
    _meta: { managed_by: 'headgate', version: TEMPLATE_VERSION, format, bodies },
    properties: { ...properties, ...own },
  };
}

/** The fields of audit.k8s.io, as `event/audit.ts` names them; what is missing here is kept and not searched. */
function eventProperties({ format, bodies, flavor }: MappedOptions): Mapping {
  const isElastic = flavor === 'elasticsearch';
  // OpenSearch's `flat_object` has no limits that can be set: it rejects an event for a value of 32,766 bytes, and one
  // that is nested 900 levels deep kept a server of version 3.8 busy for more than five minutes.
  const anything = isElastic ? flattened : kept;
  const body = bodies === 'text' ? { ...text, index: false } : anything;
  const user = object({ ...keywords('username', 'uid', 'groups'), extra: anything });
  return {
    ...keywords('kind', 'apiVersion', 'level', 'auditID', 'stage', 'requestURI', 'verb', 'userAgent'),
    user,
    impersonatedUser: user,
    authenticationMetadata: object(keywords('impersonationConstraint')),
    sourceIPs: ip,
    objectRef: object(
      keywords(
        'resource',
        'namespace',
        'name',
        'uid',
        'apiGroup',
        'apiVersion',
        'resourceVersion',
        'subresource',
      ),
    ),
    responseStatus: object({
      ...keywords('status', 'reason'),
      message: text,
      code: integer,
      details: object({ ...keywords('name', 'group', 'kind', 'uid'), retryAfterSeconds: integer }),
    }),
    requestObject: body,
    responseObject: body,
    requestReceivedTimestamp: time,
    stageTimestamp: time,
    timestamp: time,
    annotations: isElastic ? flattened : object(annotations(format)),
  };
}

/** Where there is no `flattened`: what says how a request was decided. */
function annotations(format: ElasticsearchOptions['format']): Mapping {
  const names = ['authorization.k8s.io/decision', 'authorization.k8s.io/reason'];
  return keywords(...(format === 'ecs' ? names.map(annotationKey) : names));
}

/** Those that `ecs.ts` fills, of the types that ECS gives them. */
const ecsProperties: Mapping = {
  ecs: object(keywords('version')),
  event: object({
    ...keywords('kind', 'module', 'dataset', 'action', 'outcome', 'id'),
    start: time,
    duration: long,
    ingested: time,
  }),
  user: object({
    ...keywords('name', 'id'),
    group: object(keywords('name')),
    effective: object({ ...keywords('name', 'id'), group: object(keywords('name')) }),
  }),
  user_agent: object(keywords('original')),
  source: object({ ip }),
  client: object({ ip }),
  related: object({ ...keywords('user'), ip }),
  url: object(keywords('original')),
  http: object({ response: object({ status_code: long }) }),
  orchestrator: object({
    ...keywords('type', 'api_version', 'namespace'),
    resource: object(keywords('type', 'name')),
    cluster: object(keywords('name')),
  }),
  data_stream: object(keywords('type', 'dataset', 'namespace')),
};
