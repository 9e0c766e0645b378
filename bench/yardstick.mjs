// What Headgate is measured against: the shortest program that does the bare split as well as plain Node can. It
// parses each line and appends its bytes to a file per namespace, with a buffer for each. It promises nothing: no
// position, no fsync, no rotation, any fault ends it.
//
//   node bench/yardstick.mjs FILE DIRECTORY
import { createReadStream, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const BUFFER_BYTES = 256 * 1024;

class Output {
  #fd;
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #length = 0;

  /** @param {string} path */
  constructor(path) {
    this.#fd = openSync(path, 'a');
  }

  /** @param {Buffer} line with its newline */
  append(line) {
    if (this.#length + line.length > BUFFER_BYTES) this.flush();
    if (line.length > BUFFER_BYTES) writeSync(this.#fd, line);
    else this.#length += line.copy(this.#buffer, this.#length);
  }

  flush() {
    writeSync(this.#fd, this.#buffer, 0, this.#length);
    this.#length = 0;
  }
}

const [file, directory] = process.argv.slice(2);
if (file === undefined || directory === undefined) throw new Error('usage: yardstick.mjs FILE DIRECTORY');
mkdirSync(directory, { recursive: true });

/** @type {Map<string, Output>} */
const outputs = new Map();

/** @param {Buffer} line with its newline */
function split(line) {
  const event = JSON.parse(line.toString());
  const namespace = event.objectRef?.namespace ?? 'none';
  let output = outputs.get(namespace);
  if (!output) {
    output = new Output(join(directory ?? '', `${encodeURIComponent(namespace).slice(0, 200)}.log`));
    outputs.set(namespace, output);
  }
  output.append(line);
}

/** @type {Buffer} */
let rest = Buffer.alloc(0);
for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
  const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
  let start = 0;
  for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, start)) {
    split(data.subarray(start, end + 1));
    start = end + 1;
  }
  rest = data.subarray(start);
}
for (const output of outputs.values()) output.flush();
