// Makes the components of one pipeline from its validated configuration. Nothing is opened here.
import { components } from '../components.js';
import { bytesOf } from '../config/units.js';
import type { ComponentConfig, PipelineConfig } from '../config/pipeline-config.js';
import type { Decoder } from '../codec/decoder.js';
import { JsonLinesDecoder } from '../codec/json-lines.js';
import { fromText } from '../event/byte-string.js';
import { FieldRegistry } from '../event/fields.js';
import { compileWhen } from '../event/match.js';
import { ReplaySource } from '../source/replay.js';
import { conditionOf } from '../processor/validated.js';
import type {
  ComponentContext,
  ComponentDefinition,
  Processor,
  Reject,
  SegmentStore,
  Sink,
  Source,
} from './component.js';
import { Quarantine, QUARANTINE } from './quarantine.js';
import { Router } from './router.js';

export type BuildContext = Omit<ComponentContext, 'fields' | 'component'> & {
  store: SegmentStore;
  stateDirectory: string;
  /** The quarantine is the source. */
  isReplay?: boolean;
  reject: Reject;
};

export interface Parts {
  source: Source;
  /** The source, where it is the quarantine. */
  replay: ReplaySource | undefined;
  decoder: Decoder;
  processors: Processor[];
  router: Router;
  /** In the order that the router numbers them. */
  sinks: Sink[];
  sinkNames: string[];
  quarantine: Quarantine;
  /** What the decoder looks for, and for whom. */
  fields: FieldRegistry;
}

export function buildPipeline(config: PipelineConfig, context: BuildContext): Parts {
  const fields = new FieldRegistry();
  const at = (component: string): ComponentContext => {
    fields.user = component;
    return { ...context, fields, component };
  };
  const configured = definitionOf('source', config.source).create(config.source.options, {
    ...at('source'),
    stateDirectory: context.stateDirectory,
  });
  const processors = config.processors.map((processor, i) =>
    definitionOf('processor', processor).create(processor.options, at(`processors[${i}]`)),
  );
  const sinkNames = [...config.sinks.keys()];
  const sinks = [...config.sinks].map(([name, sink]) =>
    definitionOf('sink', sink).create(sink.options, {
      ...at(`sinks.${name}`),
      name,
      store: context.store,
      reject: context.reject,
    }),
  );
  const replay = context.isReplay ? new ReplaySource({ ...context, sinks: sinkNames }) : undefined;
  const routes = config.routes.map(({ when, to }, i) => {
    fields.user = `routes[${i}]`;
    return {
      when: when === undefined ? undefined : compileWhen(conditionOf(when), fields),
      to: to.map((name) => sinkNames.indexOf(name)),
    };
  });
  const quarantine = new Quarantine(
    { ...at('quarantine'), name: QUARANTINE, store: context.store },
    context.stateDirectory,
    // What is replayed is there until all of it is delivered, and may not keep what is quarantined anew waiting.
    replay ? Infinity : bytesOf(config.quarantine.max_bytes),
  );
  const decoder = new JsonLinesDecoder(fields, fromText(config.name), context.metrics, configured.lineFormat);
  return {
    source: replay ?? configured,
    replay,
    decoder,
    processors,
    router: new Router(routes, sinks.length),
    sinks,
    sinkNames,
    quarantine,
    fields,
  };
}

function definitionOf<K extends ComponentDefinition['kind']>(
  kind: K,
  { type }: ComponentConfig,
): Extract<ComponentDefinition, { kind: K }> {
  const found = components.find(
    (each): each is Extract<ComponentDefinition, { kind: K }> => each.kind === kind && each.name === type,
  );
  if (!found) throw new Error(`impossible: unvalidated ${kind} ${type}`);
  return found;
}
