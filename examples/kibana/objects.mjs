// Kibana's saved objects for the documents of Headgate, made of a short description: data view, searches, and a dashboard.
// `node examples/kibana/objects.mjs native` prints the lines of `headgate.ndjson`, `ecs` those of `headgate-ecs.ndjson`.
import { fileURLToPath } from 'node:url';

/**
 * @typedef {'native' | 'ecs'} Format
 * @typedef {{ id: string, title: string, query: string, columns: string[] }} Search
 * @typedef {{ id: string, title: string, query: string, w: number, by?: string, top?: string }} Chart
 * @typedef {{ name: string, type: string, id: string }} Reference
 * @typedef {{ id: string, type: string, attributes: Record<string, unknown>, references: Reference[] }} SavedObject
 */

/** What fields are called in documents of each format. */
const FIELDS = {
  native: {
    user: 'user.username',
    verb: 'verb',
    namespace: 'objectRef.namespace',
    resource: 'objectRef.resource',
    name: 'objectRef.name',
    subresource: 'objectRef.subresource',
    code: 'responseStatus.code',
    ip: 'sourceIPs',
    agent: 'userAgent',
    uri: 'requestURI',
    decision: 'annotations.authorization.k8s.io/decision',
    stage: 'stage',
  },
  ecs: {
    user: 'user.name',
    verb: 'event.action',
    namespace: 'orchestrator.namespace',
    resource: 'orchestrator.resource.type',
    name: 'orchestrator.resource.name',
    subresource: 'kubernetes.audit.objectRef.subresource',
    code: 'http.response.status_code',
    ip: 'source.ip',
    agent: 'user_agent.original',
    uri: 'url.original',
    decision: 'kubernetes.audit.annotations.authorization_k8s_io/decision',
    stage: 'kubernetes.audit.stage',
  },
};

/** Half a second, in the nanoseconds of `event.duration`. */
const SLOW_NS = 500_000_000;

/**
 * What is looked for: KQL.
 * @param {typeof FIELDS.native} f
 */
function queriesOf(f) {
  return {
    all: '',
    denied: `${f.decision} : "forbid" or ${f.code} : (401 or 403)`,
    secrets: `${f.resource} : "secrets" and ${f.verb} : ("get" or "list" or "watch")`,
    exec: `${f.resource} : "pods" and ${f.subresource} : ("exec" or "attach" or "portforward")`,
    slow: `event.duration >= ${SLOW_NS} and not ${f.verb} : "watch" and ${f.stage} : "ResponseComplete"`,
    changes: `${f.verb} : ("create" or "update" or "patch" or "delete" or "deletecollection")`,
  };
}

/**
 * What is described: everything else follows from it.
 * @param {Format} format
 * @returns {{ queries: ReturnType<typeof queriesOf>, searches: Search[], charts: Chart[], tables: string[] }}
 */
function descriptionOf(format) {
  const f = FIELDS[format];
  const queries = queriesOf(f);
  const columns = [f.user, f.verb, f.resource, f.namespace, f.name, f.code];
  return {
    queries,
    searches: [
      { id: 'denied', title: 'Denied requests', query: queries.denied, columns: [...columns, f.uri] },
      {
        id: 'secrets',
        title: 'Who read secrets',
        query: queries.secrets,
        columns: [...columns, f.ip, f.agent],
      },
      { id: 'exec', title: 'Exec into pods', query: queries.exec, columns: [...columns, f.uri] },
      { id: 'slow', title: 'Slow requests', query: queries.slow, columns: ['event.duration', ...columns] },
      { id: 'changes', title: 'Changes', query: queries.changes, columns },
    ],
    charts: [
      { id: 'over-time', title: 'Events over time', query: queries.all, by: f.verb, w: 48 },
      { id: 'denied-over-time', title: 'Denied requests', query: queries.denied, by: f.user, w: 24 },
      { id: 'secrets-over-time', title: 'Secrets read', query: queries.secrets, by: f.user, w: 24 },
      { id: 'users', title: 'Top users', query: queries.all, top: f.user, w: 16 },
      { id: 'verbs', title: 'Verbs', query: queries.all, top: f.verb, w: 16 },
      { id: 'namespaces', title: 'Namespaces', query: queries.all, top: f.namespace, w: 16 },
      { id: 'exec-users', title: 'Exec into pods, by user', query: queries.exec, top: f.user, w: 24 },
      {
        id: 'slow-resources',
        title: 'Slow requests, by resource',
        query: queries.slow,
        top: f.resource,
        w: 24,
      },
    ],
    tables: ['denied', 'secrets', 'exec', 'slow'],
  };
}

const HEIGHT = 12;
const WIDTH = 48;

/**
 * The saved objects, each ready for a line.
 * @param {Format} format
 * @returns {SavedObject[]}
 */
export function savedObjects(format) {
  const prefix = format === 'ecs' ? 'headgate-ecs' : 'headgate';
  const suffix = format === 'ecs' ? ' (ECS)' : '';
  const view = `${prefix}-events`;
  const { searches, charts, tables } = descriptionOf(format);
  const search = (/** @type {Search} */ { id, title, query, columns }) => ({
    id: `${prefix}-${id}`,
    type: 'search',
    attributes: {
      title: `Kubernetes audit: ${title}${suffix}`,
      description: '',
      columns,
      sort: [['@timestamp', 'desc']],
      kibanaSavedObjectMeta: {
        searchSourceJSON: JSON.stringify({
          query: { query, language: 'kuery' },
          filter: [],
          indexRefName: 'kibanaSavedObjectMeta.searchSourceJSON.index',
        }),
      },
    },
    references: [reference('kibanaSavedObjectMeta.searchSourceJSON.index', 'index-pattern', view)],
    ...versions('8.0.0'),
  });
  const chart = (/** @type {Chart} */ { id, title, query, by, top }) => ({
    id: `${prefix}-${id}`,
    type: 'lens',
    attributes: {
      title: `Kubernetes audit: ${title}${suffix}`,
      description: '',
      visualizationType: 'lnsXY',
      state: {
        ...(top === undefined ? overTime(by ?? '') : mostOf(top)),
        query: { query, language: 'kuery' },
        filters: [],
        internalReferences: [],
        adHocDataViews: {},
      },
    },
    references: [reference('indexpattern-datasource-layer-layer', 'index-pattern', view)],
    ...versions('8.9.0'),
  });
  const panels = [
    ...charts.map(({ id, w }) => ({ type: 'lens', id, w })),
    ...tables.map((id) => ({ type: 'search', id, w: WIDTH })),
  ];
  const dashboard = {
    id: `${prefix}-dashboard`,
    type: 'dashboard',
    attributes: {
      title: `Kubernetes audit${suffix}`,
      description:
        'Events over time, denied requests, users, verbs, namespaces, secrets, exec, slow requests.',
      timeRestore: true,
      timeFrom: 'now-24h',
      timeTo: 'now',
      optionsJSON: JSON.stringify({ useMargins: true, syncColors: false, hidePanelTitles: false }),
      kibanaSavedObjectMeta: {
        searchSourceJSON: JSON.stringify({ query: { query: '', language: 'kuery' }, filter: [] }),
      },
      panelsJSON: JSON.stringify(placed(panels)),
    },
    references: panels.map(({ type, id }, i) => reference(`${i}:panel_${i}`, type, `${prefix}-${id}`)),
    ...versions('8.9.0'),
  };
  const dataView = {
    id: view,
    type: 'index-pattern',
    attributes: {
      title: 'logs-kubernetes.audit*',
      name: `Kubernetes audit events${suffix}`,
      timeFieldName: '@timestamp',
      fieldFormatMap: JSON.stringify({
        'event.duration': {
          id: 'duration',
          params: { inputFormat: 'nanoseconds', outputFormat: 'humanizePrecise', outputPrecision: 1 },
        },
      }),
    },
    references: [],
    ...versions('8.0.0'),
  };
  return [dataView, ...searches.map(search), ...charts.map(chart), dashboard];
}

/**
 * What a test runs against a server: each query, and each field that is shown or counted.
 * @param {Format} format
 */
export function usedOf(format) {
  const { queries, searches, charts } = descriptionOf(format);
  const fields = [
    ...searches.flatMap(({ columns }) => columns),
    ...charts.map(({ by, top }) => by ?? top ?? ''),
  ];
  return { queries, fields: [...new Set(fields)] };
}

/**
 * The versions of Kibana's migrations that these are written for; Kibana brings them up to its own.
 * @param {string} typeMigrationVersion
 */
function versions(typeMigrationVersion) {
  return { coreMigrationVersion: '8.8.0', typeMigrationVersion, managed: false };
}

/**
 * @param {string} name
 * @param {string} type
 * @param {string} id
 * @returns {Reference}
 */
function reference(name, type, id) {
  return { name, type, id };
}

/**
 * Panels from left to right, and in rows.
 * @param {{ type: string, w: number }[]} panels
 */
function placed(panels) {
  let [x, y] = [0, 0];
  return panels.map(({ type, w }, i) => {
    if (x + w > WIDTH) [x, y] = [0, y + HEIGHT];
    const gridData = { x, y, w, h: HEIGHT, i: String(i) };
    x += w;
    return { type, gridData, panelIndex: String(i), embeddableConfig: {}, panelRefName: `panel_${i}` };
  });
}

const count = {
  label: 'Events',
  dataType: 'number',
  operationType: 'count',
  isBucketed: false,
  scale: 'ratio',
  sourceField: '___records___',
  params: { emptyAsNull: true },
};

/**
 * @param {string} field
 * @param {number} size
 */
function termsOf(field, size) {
  return {
    label: field,
    dataType: 'string',
    operationType: 'terms',
    isBucketed: true,
    scale: 'ordinal',
    sourceField: field,
    params: {
      size,
      orderBy: { type: 'column', columnId: 'count' },
      orderDirection: 'desc',
      otherBucket: true,
      missingBucket: false,
      parentFormat: { id: 'terms' },
    },
  };
}

/** @param {string} by */
function overTime(by) {
  const time = {
    label: '@timestamp',
    dataType: 'date',
    operationType: 'date_histogram',
    isBucketed: true,
    scale: 'interval',
    sourceField: '@timestamp',
    params: { interval: 'auto', includeEmptyRows: true, dropPartials: false },
  };
  const columns = { split: termsOf(by, 8), time, count };
  return layered('bar_stacked', ['split', 'time', 'count'], columns, {
    xAccessor: 'time',
    splitAccessor: 'split',
  });
}

/** @param {string} field */
function mostOf(field) {
  return layered(
    'bar_horizontal',
    ['term', 'count'],
    { term: termsOf(field, 10), count },
    { xAccessor: 'term' },
  );
}

/**
 * @param {string} seriesType
 * @param {string[]} columnOrder
 * @param {Record<string, unknown>} columns
 * @param {Record<string, string>} accessors
 */
function layered(seriesType, columnOrder, columns, accessors) {
  const layer = { layerId: 'layer', layerType: 'data', seriesType, accessors: ['count'], ...accessors };
  return {
    datasourceStates: {
      formBased: { layers: { layer: { columnOrder, columns, incompleteColumns: {} } } },
    },
    visualization: {
      legend: { isVisible: true, position: 'right' },
      valueLabels: 'hide',
      preferredSeriesType: seriesType,
      layers: [layer],
    },
  };
}

/**
 * The text of the file for a format.
 * @param {Format} format
 */
export function ndjson(format) {
  return savedObjects(format)
    .map((object) => `${JSON.stringify(object)}\n`)
    .join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.stdout.write(ndjson(process.argv[2] === 'ecs' ? 'ecs' : 'native'));
