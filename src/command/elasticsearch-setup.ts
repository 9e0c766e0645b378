// `headgate elasticsearch setup`: what the `elasticsearch` sinks of the pipeline files need on their clusters, installed
// with the sinks' own nodes, credentials and TLS. Sinks that write to the same indices have to need the same.
import { components } from '../components.js';
import { formatDiagnostic } from '../config/diagnostic.js';
import { loadPipelines } from '../config/load.js';
import { UsageError } from '../errors.js';
import { Cluster } from '../sink/elasticsearch/cluster.js';
import type { ElasticsearchOptions } from '../sink/elasticsearch/options.js';
import { setUp } from '../sink/elasticsearch/setup.js';
import { installationOf } from '../sink/elasticsearch/templates.js';
import type { CheckIo } from './check.js';

export interface ElasticsearchSetupOptions {
  /** Only show the requests. */
  print: boolean;
  dryRun: boolean;
  force: boolean;
  rollover: boolean;
}

/** Sinks with the same nodes and the same index. */
interface Target {
  options: ElasticsearchOptions;
  /** `by-namespace: sinks.elastic` */
  sinks: string[];
  component: string;
}

/** Resolves to the exit code: 0, 1 where something was refused or failed, 2 where there is a fault in a file. */
export async function elasticsearchSetupCommand(
  paths: readonly string[],
  io: CheckIo,
  { print, dryRun, force, rollover }: ElasticsearchSetupOptions,
): Promise<number> {
  const { pipelines, diagnostics } = await loadPipelines(paths, io.env, components);
  if (diagnostics.length > 0) {
    for (const diagnostic of diagnostics) io.stderr.write(formatDiagnostic(diagnostic));
    return 2;
  }
  const sinks = pipelines.flatMap(({ name, sinks }) =>
    [...sinks].flatMap(([sink, { type, options }]) =>
      type === 'elasticsearch'
        ? [{ pipeline: name, component: `sinks.${sink}`, options: options as ElasticsearchOptions }]
        : [],
    ),
  );
  const targets = targetsOf(sinks);
  if (targets.length === 0) throw new UsageError('USAGE', 'none of the pipelines has an elasticsearch sink');
  let isDone = true;
  for (const { options, sinks, component } of targets) {
    if (print) {
      io.stdout.write(requestsOf(options));
      continue;
    }
    io.stdout.write(`${options.nodes[0]}, ${options.index} (${sinks.join('; ')})\n`);
    const cluster = new Cluster(options, component, new AbortController().signal);
    try {
      const isSetUp = await setUp(options, {
        request: (request) => cluster.request(request),
        say: (line) => io.stdout.write(`  ${line}\n`),
        isDryRun: dryRun,
        isForced: force,
        withRollover: rollover,
      });
      isDone &&= isSetUp;
    } finally {
      await cluster.close();
    }
  }
  return isDone ? 0 : 1;
}

interface ConfiguredSink {
  pipeline: string;
  component: string;
  options: ElasticsearchOptions;
}

function targetsOf(sinks: readonly ConfiguredSink[]): Target[] {
  const targets = new Map<string, Target>();
  for (const { pipeline, component, options } of sinks) {
    const name = `${pipeline}: ${component}`;
    const { name: template, resources } = installationOf(options);
    const key = JSON.stringify([[...options.nodes].sort(), template]);
    const same = targets.get(key);
    if (!same) {
      targets.set(key, { options, sinks: [name], component });
    } else if (JSON.stringify(installationOf(same.options).resources) === JSON.stringify(resources)) {
      same.sinks.push(name);
    } else {
      throw new UsageError(
        'USAGE',
        `${same.sinks[0]} and ${name} write to the same indices and need other templates: make \`format\`, \`bodies\`, \`flavor\` and \`setup\` the same`,
      );
    }
  }
  return [...targets.values()];
}

/** As Kibana's console takes them, and most people's tools. */
function requestsOf(options: ElasticsearchOptions): string {
  const { resources } = installationOf(options);
  return resources.map(({ path, body }) => `PUT ${path}\n${JSON.stringify(body, null, 2)}\n\n`).join('');
}
