// What no file can show alone: two pipelines of one name would share a position, two sinks that render the same
// path would write into each other's files, two that read standard input would each get a part of it, and only one of
// two that listen on an address can.
import { posix } from 'node:path';
import { addressText, areShared, parseAddress } from '../source/webhook/address.js';
import type { ListenAddress } from '../source/webhook/address.js';
import type { ConfigDocument } from './document.js';
import type { Validated } from './validate.js';

/** Reports faults between pipelines that are loaded together, to the later one of each two. */
export function checkTogether(validated: readonly Validated[]): void {
  const files = new Map<string, string>();
  let reader: ConfigDocument | undefined;
  const listeners: Listener[] = [];
  const owners = new Map<string, { document: ConfigDocument; sink: string }>();
  for (const { document, name, source, sinks } of validated) {
    if (name !== undefined) checkPipelineName(files, document, name);
    if (source?.type === 'stdin') {
      if (reader) checkStdin(reader, document);
      else reader = document;
    }
    if (source?.type === 'webhook') checkListener(listeners, document, source.options['listen']);
    for (const [sink, component] of sinks) {
      const directory = component?.options['base_dir'];
      const path = component?.options['path'];
      if (typeof directory !== 'string' || typeof path !== 'string') continue;
      // The files that a sink writes are told by both together: `/a` and `b/c.log` are `/a/b` and `c.log`.
      const target = posix.join(directory, path);
      const owner = owners.get(target);
      if (!owner) {
        owners.set(target, { document, sink });
        continue;
      }
      const place = owner.document === document ? '' : ` of ${owner.document.file}`;
      document.report(['sinks', sink], {
        code: 'CONFIG_SHARED_PATH',
        message: `the sink \`${sink}\` writes to the same files as the sink \`${owner.sink}\`${place}`,
        hint: 'give each sink a `base_dir` or a `path` of its own',
        atKey: true,
      });
    }
  }
}

interface Listener {
  document: ConfigDocument;
  address: ListenAddress;
}

function checkListener(listeners: Listener[], document: ConfigDocument, listen: unknown): void {
  const address = parseAddress(typeof listen === 'string' ? listen : '');
  if ('fault' in address) return;
  const other = listeners.find((each) => areShared(each.address, address));
  listeners.push({ document, address });
  if (!other) return;
  document.report(['source', 'listen'], {
    code: 'CONFIG_SHARED_INPUT',
    message: `the pipeline of ${other.document.file} listens on ${addressText(other.address)} already`,
    hint: 'give each a port of its own; one pipeline can have many routes and sinks',
  });
}

function checkStdin(reader: ConfigDocument, document: ConfigDocument): void {
  document.report(['source'], {
    code: 'CONFIG_SHARED_INPUT',
    message: `standard input is read by the pipeline of ${reader.file} already`,
    hint: 'one pipeline reads it and can have many routes and sinks; run a second Headgate for the other',
  });
}

function checkPipelineName(files: Map<string, string>, document: ConfigDocument, name: string): void {
  const other = files.get(name);
  if (other === undefined) {
    files.set(name, document.file);
    return;
  }
  document.report(['pipeline'], {
    code: 'CONFIG_DUPLICATE_PIPELINE',
    message: `the pipeline of ${document.file} has the same name as that of ${other}`,
    hint: 'give each a name of its own with `pipeline: NAME`: positions are stored by it',
  });
}
