// A server that takes every `_bulk` and keeps nothing: what a sink costs by itself is measured into it. It counts lines,
// and answers as Elasticsearch does when it is asked for the status of each document alone. Prints its port; at the end of
// its input, how many documents it took.
//
//   node bench/null-bulk.mjs
import { createServer } from 'node:http';
import { createGunzip } from 'node:zlib';

const NEWLINE = 0x0a;
const ITEM = '{"create":{"status":201}}';

let documents = 0;

/** @param {Buffer} data */
function countLines(data) {
  let lines = 0;
  for (let at = data.indexOf(NEWLINE); at >= 0; at = data.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

const server = createServer((request, response) => {
  let lines = 0;
  const body = request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request;
  body.on('data', (/** @type {Buffer} */ data) => (lines += countLines(data)));
  body.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('x-elastic-product', 'Elasticsearch');
    if (request.url?.startsWith('/_bulk')) {
      documents += lines / 2;
      response.end(`{"items":[${new Array(lines / 2).fill(ITEM).join()}]}`);
    } else {
      // Nothing that is looked for is there.
      response.end('{"timed_out":false,"_shards":{"failed":0},"hits":{"hits":[]}}');
    }
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(/** @type {import('node:net').AddressInfo} */ (server.address()).port);
});
process.stdin.resume().on('end', () => {
  console.log(documents);
  process.exit();
});
