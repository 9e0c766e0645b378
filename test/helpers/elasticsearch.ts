// A real Elasticsearch, or OpenSearch, for tests, made of the server's jars from Maven Central: `test/elasticsearch` has what is needed
// besides. A JDK or Maven, or the way to Maven Central, may be missing on a machine: then there is a reason to skip.
// Where `ELASTICSEARCH_URL` is set, that server is used by tests that neither stop nor configure it.
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from './temporary.js';
import { until } from './until.js';

const RECIPE = fileURLToPath(new URL('../elasticsearch', import.meta.url));
const RESOLVE_DEADLINE_MS = 300_000;
const START_DEADLINE_MS = 180_000;
/** All genuine logs have events of 11 MB, of which a server takes none that is longer than a fiftieth of its heap. */
const HEAP = process.env['HEADGATE_TEST_ALL'] === undefined ? '512m' : '1g';
/** The newest version that each JDK can run. */
const VERSIONS = [
  { jdk: 21, version: '9.5.3' },
  { jdk: 17, version: '8.19.21' },
];
/** Of the package that starts OpenSearch; it has the version of that, and a digit more. */
const OPENSEARCH_VERSIONS = [
  { jdk: 21, version: '3.8.0.0' },
  { jdk: 17, version: '2.19.1.0' },
];

interface Teardown {
  teardown(run: () => unknown): unknown;
}
const run = promisify(execFile);

/** What a node is started from. */
interface Recipe {
  java: string;
  classPath: string;
  /** Arguments of the launcher in front of the directory. */
  program: string[];
  flags: string[];
}

/** The newest JDK of the machine; what its `java` and `javac` are. */
async function findJdk(): Promise<{ home: string; major: number } | undefined> {
  const below = (directory: string): string[] =>
    existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  const homes = [process.env['JAVA_HOME'] ?? '', ...below('/usr/lib/jvm'), ...below('/opt')];
  const found: { home: string; major: number }[] = [];
  for (const home of homes) {
    if (!existsSync(join(home, 'bin/javac'))) continue;
    const { stdout } = await run(join(home, 'bin/javac'), ['-version']);
    found.push({ home, major: Number(/^javac (\d+)/.exec(stdout)?.[1]) });
  }
  return found.sort((a, b) => b.major - a.major)[0];
}

interface Resolved {
  jdk: string;
  version: string;
  /** Belongs to the test. */
  home: string;
  jars: string[];
  flags: string[];
}

/** Resolves the jars that a pom names, or says in one line why that can't be done here. */
async function resolve(
  t: Teardown,
  server: string,
  pom: string,
  versions: typeof VERSIONS,
): Promise<Resolved | { missing: string }> {
  const jdk = await findJdk();
  const version = versions.find((each) => (jdk?.major ?? 0) >= each.jdk)?.version;
  if (!jdk || version === undefined) return { missing: `no JDK 17 or newer is installed: no ${server}` };
  const home = temporaryDirectory(t);
  const list = join(home, 'classpath');
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath';
  const define = [`-Dserver.version=${version}`, `-Dmdep.outputFile=${list}`];
  try {
    const options = { timeout: RESOLVE_DEADLINE_MS, env: { ...process.env, JAVA_HOME: jdk.home } };
    await run('mvn', ['-B', '-q', '-f', pom, ...define, goal], options);
  } catch (error) {
    const { code, stdout = '' } = error as { code?: unknown; stdout?: string };
    if (code === 'ENOENT') return { missing: `Maven is not installed: no ${server}` };
    return { missing: `Maven cannot get the jars of ${server}: ${stdout.trim().split('\n')[0]}` };
  }
  const isNew = jdk.major >= 21;
  return {
    jdk: jdk.home,
    version,
    home,
    jars: readFileSync(list, 'utf8').trim().split(':'),
    flags: isNew ? ['--enable-native-access=ALL-UNNAMED', '--add-modules=jdk.incubator.vector'] : [],
  };
}

/** Compiles a launcher; returns the class path that it runs with. */
async function compile({ jdk, home }: Resolved, source: string, jars: readonly string[]): Promise<string> {
  const classes = join(home, 'classes');
  const server = jars.join(':');
  await run(join(jdk, 'bin/javac'), ['-proc:none', '-cp', server, '-d', classes, source]);
  return `${classes}:${server}`;
}

async function prepareOpenSearch(t: Teardown): Promise<Recipe | { missing: string }> {
  const directory = join(RECIPE, 'opensearch');
  const resolved = await resolve(t, 'OpenSearch', join(directory, 'pom.xml'), OPENSEARCH_VERSIONS);
  if ('missing' in resolved) return resolved;
  const classPath = await compile(resolved, join(directory, 'TestNode.java'), resolved.jars);
  return { java: join(resolved.jdk, 'bin/java'), classPath, program: [], flags: resolved.flags };
}

async function prepare(t: Teardown): Promise<Recipe | { missing: string }> {
  const resolved = await resolve(t, 'Elasticsearch', join(RECIPE, 'pom.xml'), VERSIONS);
  if ('missing' in resolved) return resolved;
  const { jdk, version, home, jars, flags } = resolved;
  // The server loads its HTTP transport as a module, apart from its own class path.
  const isTransport = (jar: string): boolean =>
    /\/io\/netty\/|\/transport-netty4-|\/elasticsearch-ssl-config-/.test(jar);
  const moduleDirectory = join(home, 'modules/transport-netty4');
  mkdirSync(moduleDirectory, { recursive: true });
  for (const jar of jars.filter(isTransport)) cpSync(jar, join(moduleDirectory, basename(jar)));
  await describeModule(jdk, moduleDirectory, version);
  const server = jars.filter((jar) => !isTransport(jar));
  const classPath = await compile(resolved, join(RECIPE, 'TestNode.java'), server);
  return { java: join(jdk, 'bin/java'), classPath, program: [home], flags };
}

/** Writes the descriptor that the module's jar brings along, without the Java module that it would have to be. */
async function describeModule(jdk: string, directory: string, version: string): Promise<void> {
  const jar = join(directory, `transport-netty4-${version}.jar`);
  const inside = 'META-INF/es-plugins/transport-netty4/plugin-descriptor.properties';
  await run(join(jdk, 'bin/jar'), ['xf', jar, inside], { cwd: directory });
  const descriptor = readFileSync(join(directory, inside), 'utf8').replace(/^modulename=.*$/m, '');
  writeFileSync(join(directory, 'plugin-descriptor.properties'), descriptor);
}

/** A node that a test has for itself, and can kill and start again. */
export class ElasticsearchNode {
  readonly #recipe: Recipe;
  readonly #directory: string;
  readonly #port: number;
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  constructor(recipe: Recipe, directory: string, port: number, settings: readonly string[]) {
    this.#recipe = recipe;
    this.#directory = directory;
    this.#port = port;
    this.#settings = settings;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it on its data; resolves when it answers. */
  async start(): Promise<void> {
    const { java, classPath, program, flags } = this.#recipe;
    const memory = [`-Xms${HEAP}`, `-Xmx${HEAP}`, '-XX:+UseSerialGC', `-Djava.io.tmpdir=${this.#directory}`];
    const settings = [`http.port=${this.#port}`, 'node.store.allow_mmap=false', ...this.#settings];
    const launch = ['-cp', classPath, 'TestNode', ...program, this.#directory, ...settings];
    const log = openSync(join(this.#directory, 'node.log'), 'a');
    const vectors = '-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false';
    const child = spawn(java, [...memory, vectors, ...flags, ...launch], { stdio: ['ignore', log, log] });
    this.#child = child;
    await until(
      'Elasticsearch answers',
      async () => {
        if (child.exitCode !== null) throw new Error(`Elasticsearch ended:\n${this.#logEnd()}`);
        const health = await fetch(`${this.url}/_cluster/health?wait_for_status=yellow&timeout=1s`).catch(
          () => undefined,
        );
        return health?.status === 200;
      },
      START_DEADLINE_MS,
    );
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  #logEnd(): string {
    return readFileSync(join(this.#directory, 'node.log'), 'utf8').slice(-2000);
  }
}

/** A node of the test's own, with these settings, that ends with it; or in one line why there can be none. */
export async function startElasticsearch(
  t: Teardown,
  settings: readonly string[] = [],
): Promise<ElasticsearchNode | { missing: string }> {
  return startNode(t, await prepare(t), settings);
}

/** The same of OpenSearch. */
export async function startOpenSearch(t: Teardown): Promise<ElasticsearchNode | { missing: string }> {
  return startNode(t, await prepareOpenSearch(t), []);
}

async function startNode(
  t: Teardown,
  recipe: Recipe | { missing: string },
  settings: readonly string[],
): Promise<ElasticsearchNode | { missing: string }> {
  if ('missing' in recipe) return recipe;
  const node = new ElasticsearchNode(recipe, temporaryDirectory(t), await freePort(), settings);
  t.teardown(() => node.kill());
  await node.start();
  return node;
}

/** The server that `ELASTICSEARCH_URL` names, or a node of the test's own, for tests that only send and look. */
export async function findElasticsearch(t: Teardown): Promise<{ url: string } | { missing: string }> {
  const url = process.env['ELASTICSEARCH_URL'];
  return url === undefined ? startElasticsearch(t) : { url: url.replace(/\/$/, '') };
}

/**
 * It is started again on the same port, so the port is chosen here: below those that the kernel gives to connections and to
 * servers of other tests, who else could take it before it is bound.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.close();
    if (isFree) return port;
  }
}

/** One request to a server; a JSON body, a JSON answer. Throws where it is not answered with 200. */
export async function call<T = Record<string, unknown>>(
  url: string,
  method: string,
  path: string,
  body?: object,
): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  });
  const answer = (await response.json()) as T;
  if (response.status !== 200)
    throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/**
 * A template for tests, for one name: bodies are kept and not indexed, and one search finds everything. What has the name
 * goes with the test.
 */
export async function putTemplate(
  t: Teardown,
  url: string,
  name: string,
  isDataStream: boolean,
): Promise<void> {
  const properties = { '@timestamp': { type: 'date_nanos' } };
  const settings = { number_of_replicas: 0, max_result_window: MAX_DOCUMENTS };
  await call(url, 'PUT', `/_index_template/${name}`, {
    index_patterns: [name],
    priority: 500,
    ...(isDataStream && { data_stream: {} }),
    template: { settings, mappings: { dynamic: false, properties } },
  });
  if (process.env['ELASTICSEARCH_URL'] === undefined) return; // The node goes as a whole.
  t.teardown(async () => {
    await fetch(`${url}/${isDataStream ? '_data_stream/' : ''}${name}`, { method: 'DELETE' });
    await fetch(`${url}/_index_template/${name}`, { method: 'DELETE' });
  });
}

const MAX_DOCUMENTS = 100_000;

export interface FoundDocument {
  _index: string;
  _id: string;
  _source: Record<string, unknown>;
}

/** Every document of a name, over all its backing indices. */
export async function allDocuments(url: string, name: string): Promise<FoundDocument[]> {
  await call(url, 'POST', `/${name}/_refresh`);
  const query = { size: MAX_DOCUMENTS, track_total_hits: true };
  const found = await call<{ hits: { total: { value: number }; hits: FoundDocument[] } }>(
    url,
    'POST',
    `/${name}/_search`,
    query,
  );
  const { hits, total } = found.hits;
  if (hits.length !== total.value) throw new Error(`${total.value} documents, more than a test can hold`);
  return hits;
}

const PAGE = 500;

/** Every document of a name that holds the events of one log, in its order; no more than a page of them at a time. */
export async function eachDocument(
  url: string,
  name: string,
  visit: (document: FoundDocument) => void,
): Promise<void> {
  await call(url, 'POST', `/${name}/_refresh`);
  let after: unknown[] | undefined;
  for (;;) {
    const query = { size: PAGE, sort: ['log.offset'], ...(after && { search_after: after }) };
    const { hits } = await call<{ hits: { hits: (FoundDocument & { sort: unknown[] })[] } }>(
      url,
      'POST',
      `/${name}/_search`,
      query,
    );
    hits.hits.forEach(visit);
    const last = hits.hits.at(-1);
    if (!last) return;
    after = last.sort;
  }
}

/** Whether mappings have a field, or one of which it is a part without a mapping of its own. */
export function isMapped(mappings: object, field: string): boolean {
  let node = mappings as { type?: string; properties?: Record<string, object> };
  for (const key of field.split('.')) {
    if (node.type === 'flattened') return true;
    const below = node.properties?.[key];
    if (!below) return false;
    node = below;
  }
  return node.type !== undefined;
}
