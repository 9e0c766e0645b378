// What a pipeline file says once it is validated: options with their defaults, sizes and durations still as
// written. The keys of the file are declared here like a component's options, so that messages, defaults and the
// editor schema come from one place.
import { Type, bytes, count, duration, flag, listOf, oneOf, optional, when } from './schema.js';

/** A source, processor or sink: its type, and its options as the component's schema has them. */
export interface ComponentConfig {
  type: string;
  options: Record<string, unknown>;
}

export interface RouteConfig {
  /** A condition that `parseWhen` takes; absent: every event. */
  when?: unknown;
  /** Names of sinks, none twice; each gets a copy. */
  to: string[];
}

/** What must become of each event of a test. */
export interface ExpectedOutcome {
  events?: number;
  tag?: string;
  to?: string | string[];
  path?: string;
  dropped?: boolean;
  quarantined?: boolean | string;
  event?: unknown;
}

/** A test in a pipeline file, run by `headgate test`. */
export interface PipelineTest {
  name?: string;
  /** Lines as text, or events; one or several. */
  input: unknown;
  expect: ExpectedOutcome;
}

export interface PipelineConfig {
  name: string;
  /** The file that it came from. */
  file: string;
  source: ComponentConfig;
  processors: ComponentConfig[];
  /** The first one that matches has the event. */
  routes: RouteConfig[];
  /** What becomes of events that no route matches; absent where the last route is unconditional. */
  otherwise?: 'drop';
  /** In the order of the file. */
  sinks: ReadonlyMap<string, ComponentConfig>;
  commit_interval: string;
  /** The sink that `commit_interval` was chosen for, where the file says none and a sink wants another than usual. */
  commitIntervalFor?: string;
  quarantine: { max_bytes: string };
  tests: readonly PipelineTest[];
}

const testSchema = Type.Object(
  {
    name: optional(
      Type.String({ description: 'What the test shows.', examples: ['secrets go to the vault'] }),
    ),
    input: Type.Unknown({
      description:
        'An event, or a line as text such as the source reads it, in its `format` (`|` keeps several lines, as the parts of a line in the log of a container, or the two lines of a legacy entry), or a list of them.',
      examples: [{ verb: 'get', objectRef: { resource: 'secrets' } }],
    }),
    expect: Type.Object(
      {
        events: optional(
          count({
            description: 'How many events, and lines that hold none, the input has. Default: 1.',
            minimum: 0,
          }),
        ),
        tag: optional(
          Type.String({ description: 'The tag after all processors.', examples: ['audit.none'] }),
        ),
        to: optional(
          Type.Union([Type.String(), Type.Array(Type.String())], {
            title: 'the name of a sink or a list of names',
            description: 'The sinks that get the event, in the order of the route.',
          }),
        ),
        path: optional(
          Type.String({ description: 'Where the sink puts it: the file, before any rotation.' }),
        ),
        dropped: optional(
          flag({ description: 'Whether the configuration drops it. Without a word it must not be dropped.' }),
        ),
        quarantined: optional(
          Type.Union([Type.Boolean(), Type.String()], {
            title: 'true, false or a reason such as `malformed`',
            description:
              'Whether it goes to the quarantine, or with which reason. Without a word it must not.',
          }),
        ),
        event: optional(
          Type.Unknown({ description: 'The event as it leaves, with all that processors changed.' }),
        ),
      },
      { description: 'What must become of each event of the input.', additionalProperties: false },
    ),
  },
  { description: 'One test.', additionalProperties: false },
);

const routeSchema = Type.Object(
  {
    when: optional(
      when({
        description: 'Which events take this route; without it all that no earlier route took.',
        examples: [{ tag: 'audit.kube-system' }],
      }),
    ),
    to: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], {
      title: 'the name of a sink or a list of names',
      description: 'The name of a sink, or a list of names: each gets a copy.',
      examples: ['files'],
    }),
  },
  { description: 'One route.' },
);

/** The keys of a pipeline file; components are validated by their own schemas. */
export const pipelineSchema = Type.Object({
  pipeline: optional(
    Type.String({
      format: 'name',
      description: "The pipeline's name, which its position is stored under. Default: the file's name.",
      examples: ['by-namespace'],
    }),
  ),
  source: Type.Unknown({
    title: 'a mapping with a `type`',
    description: 'Where events come from: one of the sources.',
    examples: [{ type: 'file', paths: ['/var/log/kube-audit/audit.log'] }],
  }),
  processors: listOf(Type.Unknown({ title: 'mappings with a `type`' }), {
    description: 'What is done to each event, in this order.',
    default: [],
  }),
  routes: listOf(routeSchema, {
    description:
      'Which sinks get an event: the first route that matches. The last one is unconditional, or `otherwise: drop` says what becomes of the rest.',
    minItems: 1,
    examples: [[{ to: 'files' }]],
  }),
  otherwise: optional(
    oneOf(['drop'], { description: 'Events that no route matches are dropped, and counted as such.' }),
  ),
  sinks: Type.Record(Type.String(), Type.Unknown(), {
    title: 'a mapping of at least one sink by its name',
    description: 'Where events go to, by name.',
    minProperties: 1,
    examples: [{ files: { type: 'files', base_dir: '/var/log/audit', path: 'audit.log' } }],
  }),
  commit_interval: optional(
    duration({
      description:
        'How often what was written is made durable and the position stored with it. Longer costs less, and leaves more to be read again after a crash. Default: `1s`; `10s` where a sink has `compress: stream`.',
      examples: ['1s'],
      formatMinimum: '10ms',
    }),
  ),
  quarantine: Type.Object(
    {
      max_bytes: bytes({
        description:
          'How much disk lines may take up that are no events or that a sink rejected. When it is full the pipeline waits.',
        default: '1GiB',
        formatMinimum: '1B',
      }),
    },
    { description: 'Where lines go that no sink gets.', default: {} },
  ),
  tests: listOf(testSchema, {
    description:
      'What must become of some events: `headgate test` holds the pipeline against it. Without effect on a run.',
    default: [],
  }),
});
