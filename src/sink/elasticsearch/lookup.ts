// Which of some events are there already. `create` finds a document of the same id only in the index that is written to
// now: after a rollover of a data stream, or of an alias, the one before is not looked at, and an event that was sent again
// would be there twice. So events of unknown outcome are looked up first, over all that their name stands for.
import { ClusterFault } from './cluster.js';
import type { Answer, ClusterRequest } from './cluster.js';
import type { Sought } from './bulk-batch.js';

/** So many ids are asked for at once; an answer holds up to 10,000 documents (`index.max_result_window`). */
const IDS_A_SEARCH = 1_000;
const MAX_HITS = 10_000;
/** A path may be 4 KiB long (`http.max_initial_line_length`). */
const NAMES_LENGTH = 2_000;
/** What does not exist holds nothing. */
const EXISTING = 'ignore_unavailable=true&allow_no_indices=true';

/** Which of the ids stand for a document. Throws `ClusterFault` where that can not be told for now. */
export async function findPresent(
  request: (request: ClusterRequest) => Promise<Answer>,
  { ids, names }: Sought,
): Promise<Set<string>> {
  const present = new Set<string>();
  for (const path of chunksOfNames(names)) {
    wholeAnswer(await request({ method: 'POST', path: `/${path}/_refresh?${EXISTING}` }));
    for (let from = 0; from < ids.length; from += IDS_A_SEARCH) {
      const values = ids.slice(from, from + IDS_A_SEARCH);
      const body = { query: { ids: { values } }, size: MAX_HITS, _source: false };
      const query = `${EXISTING}&allow_partial_search_results=false`;
      const answer = await request({ method: 'POST', path: `/${path}/_search?${query}`, body });
      for (const id of hitsOf(wholeAnswer(answer))) present.add(id);
    }
  }
  return present;
}

function* chunksOfNames(names: Iterable<string>): Generator<string> {
  let chunk = '';
  for (const name of names) {
    const encoded = encodeURIComponent(name);
    if (chunk.length + encoded.length > NAMES_LENGTH) {
      yield chunk;
      chunk = '';
    }
    chunk += (chunk === '' ? '' : ',') + encoded;
  }
  if (chunk !== '') yield chunk;
}

interface ShardAnswer {
  timed_out?: boolean;
  _shards?: { failed?: number };
  hits?: { hits?: { _id?: unknown }[] };
}

/** The body of an answer that all shards gave. */
function wholeAnswer({ status, body, retryAfterMs }: Answer): ShardAnswer {
  const answer = body as ShardAnswer | null;
  if (status !== 200 || typeof answer !== 'object')
    throw new ClusterFault(
      `looking for events that may be there already was answered with ${status}`,
      retryAfterMs,
    );
  if (answer?.timed_out === true || answer?._shards?.failed !== 0)
    throw new ClusterFault('looking for events that may be there already, not all shards answered');
  return answer;
}

function hitsOf({ hits }: ShardAnswer): string[] {
  if (!Array.isArray(hits?.hits)) throw new ClusterFault('an answer to a search without hits');
  return hits.hits.map(({ _id }) => String(_id));
}
