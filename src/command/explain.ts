// `headgate check --explain`: what a pipeline looks at, what that costs, and where each route leads.
import { EVENT_SHAPE } from '../event/audit.js';
import { formatFieldPath } from '../event/field-path.js';
import type { PipelineConfig } from '../config/pipeline-config.js';
import { PipelineTrace } from '../pipeline/trace.js';

/** Behind these fields an event goes on as the Go struct has it (kubernetes/apiserver pkg/apis/audit/v1/types.go). */
const BODIES = ['requestObject', 'responseObject'];
const ORDER = Object.keys(EVENT_SHAPE);
/** Which every event has, as kube-apiserver writes it today; one that is looked for and lacking is searched to the end. */
const ALWAYS = [
  'kind',
  'apiVersion',
  'level',
  'auditID',
  'stage',
  'requestURI',
  'verb',
  'user',
  'requestReceivedTimestamp',
  'stageTimestamp',
];

/** The explanation of one pipeline, as indented lines. */
export function explain(config: PipelineConfig): string {
  const { fields } = new PipelineTrace(config).parts;
  const wanted = fields.paths.map((path, slot) => ({
    name: formatFieldPath(path),
    first: path[0] ?? '',
    users: fields.usersOf(slot),
  }));
  const widest = Math.max(0, ...wanted.map(({ name }) => name.length));
  const sections: [string, string[]][] = [
    ['fields', wanted.map(({ name, users }) => `${name.padEnd(widest)}  for ${users.join(', ')}`)],
    ['reading', [readingOf(wanted)]],
    ['processors', config.processors.map(({ type }, i) => `${i + 1}  ${type}`)],
    ['routes', routesOf(config)],
  ];
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) =>
      lines.map((line, i) => `  ${(i === 0 ? title : '').padEnd(12)}${line}\n`).join(''),
    )
    .join('');
}

/** What decides how far a line has to be read. */
function readingOf(wanted: readonly { name: string; first: string }[]): string {
  if (wanted.length === 0) return 'no field is looked at: each line is only checked to be one object';
  const rare = wanted.filter(({ first }) => !ALWAYS.includes(first)).map(({ name }) => name);
  if (rare.length > 0)
    return `an event that lacks ${listed(rare)} is read to its end; nothing is parsed into objects`;
  const last = wanted.reduce((a, b) => (ORDER.indexOf(b.first) > ORDER.indexOf(a.first) ? b : a));
  const passes = BODIES.some((body) => ORDER.indexOf(last.first) >= ORDER.indexOf(body));
  return `each line is read up to \`${last.name}\`${passes ? ', past the bodies' : ''}; nothing is parsed into objects`;
}

function routesOf(config: PipelineConfig): string[] {
  const lines = config.routes.map(({ when, to }, i) => {
    const condition = when === undefined ? 'every other event' : JSON.stringify(when);
    return `${i + 1}  ${condition} → ${to.map((sink) => sinkOf(config, sink)).join(', ')}`;
  });
  return config.otherwise ? [...lines, '   every other event is dropped'] : lines;
}

function sinkOf(config: PipelineConfig, name: string): string {
  const { type, options = {} } = config.sinks.get(name) ?? {};
  const { base_dir: directory, path } = options as { base_dir?: string; path?: string };
  return directory === undefined || path === undefined
    ? `${name} (${String(type)})`
    : `${name} (${directory}/${path})`;
}

function listed(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}
