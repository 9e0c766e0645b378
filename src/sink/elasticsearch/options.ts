// What can be said of an `elasticsearch` sink in a pipeline file, and what is wrong together. Secrets never stand in it:
// they are read from files, or from the environment.
import {
  bytes,
  count,
  duration,
  file,
  flag,
  indexTemplate,
  listOf,
  oneOf,
  optional,
  Type,
  url,
} from '../../config/schema.js';
import type { Static } from '../../config/schema.js';
import type { Fault } from '../../event/fault.js';

const environment = (description: string) =>
  optional(Type.String({ description, pattern: '^[A-Za-z_][A-Za-z0-9_]*$', examples: ['ES_SECRET'] }));

const authOptions = Type.Object(
  {
    api_key_file: optional(
      file({
        description:
          'A file with an API key as Elasticsearch shows it encoded (base64 of `id:key`). All such files are read anew for each request: a renewed secret needs no restart.',
        examples: ['/etc/headgate/elasticsearch.key'],
      }),
    ),
    api_key_env: environment('The environment variable that holds the API key.'),
    bearer_token_file: optional(
      file({ description: 'A file with a bearer token.', examples: ['/etc/headgate/elasticsearch.token'] }),
    ),
    bearer_token_env: environment('The environment variable that holds the bearer token.'),
    username: optional(Type.String({ description: 'The user, with a password.', examples: ['headgate'] })),
    password_file: optional(
      file({
        description: 'A file with the password of `username`.',
        examples: ['/etc/headgate/elasticsearch.password'],
      }),
    ),
    password_env: environment('The environment variable that holds the password of `username`.'),
  },
  {
    additionalProperties: false,
    description: 'How to sign in: one API key, bearer token, or user and password. Without it, not at all.',
    default: {},
  },
);

const tlsOptions = Type.Object(
  {
    ca_file: optional(
      file({
        description: 'Certificates (PEM) that the server may be signed by, instead of those that Node knows.',
        examples: ['/etc/headgate/ca.pem'],
      }),
    ),
    ca_fingerprint: optional(
      Type.String({
        description:
          "SHA-256 fingerprint of the server's certificate authority, as Elasticsearch prints it. Takes the place of `ca_file`.",
        pattern: '^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$',
      }),
    ),
    cert_file: optional(
      file({ description: 'A client certificate (PEM).', examples: ['/etc/headgate/client.pem'] }),
    ),
    key_file: optional(
      file({ description: "The client certificate's key (PEM).", examples: ['/etc/headgate/client.key'] }),
    ),
  },
  { additionalProperties: false, description: 'For `https` nodes.', default: {} },
);

const batchOptions = Type.Object(
  {
    max_bytes: bytes({
      description: 'A request is sent when it would become larger than this, before compression.',
      default: '5MiB',
      formatMinimum: '1KiB',
    }),
    max_events: count({
      description: 'A request is sent when it holds so many events.',
      minimum: 1,
      maximum: 10_000,
      default: 5_000,
    }),
    max_age: duration({
      description: 'A request is sent at the latest this long after its first event was accepted.',
      default: '1s',
      formatMinimum: '1ms',
    }),
  },
  { additionalProperties: false, description: 'How many events are sent in one request.', default: {} },
);

const lifecycleOptions = Type.Object(
  {
    rollover_bytes: bytes({
      description: 'A data stream goes on in a new index when a primary shard of the old one is this large.',
      default: '50GiB',
      formatMinimum: '1MiB',
    }),
    rollover_age: duration({
      description: 'A data stream goes on in a new index when the old one is this old.',
      default: '30d',
      formatMinimum: '1h',
    }),
    keep_age: optional(
      duration({
        description:
          'An index is deleted so long after it was rolled over, or, outside of data streams, made. Default: nothing is deleted.',
        examples: ['365d'],
        formatMinimum: '1h',
      }),
    ),
  },
  {
    additionalProperties: false,
    description:
      'The lifecycle policy. A server that has none (OpenSearch, for one) is told of and gets none.',
    default: {},
  },
);

const setupOptions = Type.Object(
  {
    data_stream: optional(
      flag({
        description:
          'Whether what `index` names are data streams. Default: yes, unless a time stands in `index`, whose slices are indices.',
      }),
    ),
    replicas: optional(count({ description: "Copies of each shard. Default: the server's.", minimum: 0 })),
    shards: optional(
      count({ description: "Primary shards of an index. Default: the server's.", minimum: 1, maximum: 1024 }),
    ),
    lifecycle: lifecycleOptions,
  },
  {
    additionalProperties: false,
    description:
      'What `headgate elasticsearch setup` installs besides mappings; of no effect on a run. See docs/elasticsearch.md.',
    default: {},
  },
);

export const elasticsearchOptions = Type.Object({
  nodes: listOf(url({ description: 'A node: `http` or `https`, with a path where a proxy needs one.' }), {
    description: 'The nodes; requests take turns among those that answer.',
    minItems: 1,
    examples: [['https://es-1.example.com:9200']],
  }),
  flavor: oneOf(['elasticsearch', 'opensearch'], {
    description:
      'What the nodes are. `elasticsearch` (8 or 9): an answer of anything else is not taken. `opensearch`: whatever speaks its `_bulk`.',
    default: 'elasticsearch',
  }),
  index: indexTemplate({
    description:
      'The index, alias or data stream of an event; it must begin with text. strftime letters stand for event time. Of values upper case becomes lower case, and what may not stand in the name of an index becomes `_`.',
    examples: ['logs-kubernetes.audit-default', 'audit-{{ tag }}-%Y.%m.%d'],
  }),
  format: oneOf(['native', 'ecs'], {
    description:
      "`native`: the event's own fields, as the API server names them. `ecs`: the fields of Elastic's integration `kubernetes.audit_logs` (`user.name`, `source.ip`, `event.action`, …), and the event below `kubernetes.audit`.",
    default: 'native',
  }),
  bodies: oneOf(['flattened', 'text'], {
    description:
      '`requestObject` and `responseObject`: `flattened` can be searched by any of their fields; `text` makes each one string of its JSON, which is kept and shown, but not searched, and takes a fraction of the room.',
    default: 'flattened',
  }),
  cluster_name: optional(
    Type.String({
      description:
        'What `orchestrator.cluster.name` is, for an index that holds the logs of several clusters.',
      examples: ['production'],
    }),
  ),
  builtin_template: oneOf(['wait', 'use'], {
    description:
      "What to do where an index would fall under Elasticsearch's own template `logs` (`logs-*-*`), under whose mappings bodies are rejected. `wait` until there is another: `headgate elasticsearch setup` makes it. `use` it all the same.",
    default: 'wait',
  }),
  setup: setupOptions,
  max_indices: count({
    description:
      'How many different names, not counting time, `index` may make; events of further ones go to `overflow_index`.',
    minimum: 1,
    default: 200,
  }),
  overflow_index: optional(
    indexTemplate({
      description:
        'Where events of too many names go. Default: the text that `index` begins with, and `overflow`.',
      examples: ['audit-overflow'],
    }),
  ),
  auth: authOptions,
  tls: tlsOptions,
  compression: oneOf(['none', 'gzip'], {
    description:
      '`gzip`: requests and answers are compressed, to an eighth or so, for some 5 CPU seconds per gigabyte more.',
    default: 'none',
  }),
  batch: batchOptions,
  max_in_flight: count({
    description:
      'How many requests may be under way at once; under pressure (429, 503) it becomes fewer by itself.',
    minimum: 1,
    maximum: 64,
    default: 4,
  }),
  request_timeout: duration({
    description: 'How long to wait for an answer. After that nobody knows what became of the request.',
    default: '90s',
    formatMinimum: '10ms',
  }),
  max_document_bytes: bytes({
    description:
      'A larger event is sent without its bodies and with the annotation `headgate.io/truncated`; the whole of it goes to the quarantine.',
    default: '20MiB',
    formatMinimum: '1KiB',
  }),
  keep_managed_fields: flag({
    description:
      "Keep `managedFields` in bodies. They are half of many bodies' size, and have keys that Elasticsearch rejects in objects.",
    default: false,
  }),
  host_name: optional(
    Type.String({
      description: 'What `host.name` is. Default: the name of the machine.',
      examples: ['control-plane-1'],
    }),
  ),
});

export type ElasticsearchOptions = Static<typeof elasticsearchOptions>;

/** Faults that no single option has. */
export function checkElasticsearchOptions({ nodes, auth, tls, index }: ElasticsearchOptions): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: (string | number)[], message: string, hint: string): void => {
    faults.push({ code: 'CONFIG_VALUE', message, hint, path });
  };
  const given = (Object.keys(auth) as (keyof typeof auth)[]).filter((key) => auth[key] !== undefined);
  const ways = new Set(
    given.map((key) => (key === 'username' ? 'password' : key.replace(/_(file|env)$/, ''))),
  );
  const [secret, another] = given.filter((key) => key !== 'username');
  if (ways.size > 1 || another !== undefined)
    fault(['auth', another ?? 'username'], 'there is more than one way to sign in', 'leave one of them');
  else if (ways.has('password') && (auth.username === undefined || secret === undefined))
    fault(['auth'], 'a user and a password belong together', 'give `username` and `password_file`');
  const isPlain = nodes.some((node) => node.startsWith('http:'));
  if (isPlain && Object.values(tls).some((value) => value !== undefined))
    fault(['tls'], '`tls` is for https, but a node is http', 'write `https://` in `nodes`');
  if ((tls.cert_file === undefined) !== (tls.key_file === undefined))
    fault(['tls'], 'a client certificate needs its key', 'give `cert_file` and `key_file`');
  if (tls.ca_file !== undefined && tls.ca_fingerprint !== undefined)
    fault(['tls', 'ca_fingerprint'], 'there are two ways to know the authority', 'leave one of them');
  if (index.startsWith('.'))
    fault(['index'], 'names that begin with a dot are the server’s own', 'take it away');
  return faults;
}
