import type { EventBatch } from '../structs/rpc-event.js';
import { badRequest } from './errors.js';
import { wholeNumber } from './query.js';
import type { Exchange, Routes } from './router.js';
import { openStream, write } from './stream.js';

/** How often a stream without news says that it lives, as Nomad's. */
const HEARTBEAT_MS = 30_000;

export const eventRoutes: Routes = { '/v1/event/stream': { GET: streamEvents } };

/**
 * `event/stream`: the changes of the state, a line of JSON for each index that has any (`{"Index":7,"Events":[…]}`), and `{}`
 * at the start and as a heartbeat. `topic=Job:web` may be given several times; a topic alone is all of it, none is everything.
 */
async function streamEvents(exchange: Exchange): Promise<undefined> {
  const { query, response } = exchange;
  const Index = wholeNumber(query, 'index') ?? 0;
  const { MinQueryIndex: _, ...reading } = exchange.reading();
  const stream = openStream(exchange, 'Event.Stream', { ...reading, Topics: topics(query), Index });
  let heartbeat: NodeJS.Timeout | undefined;
  let open = false;
  try {
    for await (const { Index: index, Events, More } of stream as AsyncIterable<EventBatch>) {
      if (!response.headersSent) {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
        response.write('{}\n');
        if (exchange.request.method === 'HEAD') break;
        heartbeat = setInterval(() => {
          if (!open && !response.writableNeedDrain) response.write('{}\n');
        }, HEARTBEAT_MS);
      }
      if (Events.length === 0) continue;
      const text = Events.map((event) => JSON.stringify(event)).join(',');
      const head = open ? ',' : `{"Index":${index},"Events":[`;
      open = More === true;
      await write(exchange, `${head}${text}${open ? '' : ']}\n'}`);
    }
    response.end();
  } finally {
    clearInterval(heartbeat);
  }
}

/** The keys that are wanted of each topic. */
function topics(query: URLSearchParams): Record<string, string[]> {
  const given = query.getAll('topic');
  if (given.length === 0) return { '*': ['*'] };
  const wanted: Record<string, string[]> = Object.create(null);
  for (const text of given) {
    // An id may have a colon in it.
    const at = text.indexOf(':');
    const [topic, key] = at < 0 ? [text, '*'] : [text.slice(0, at), text.slice(at + 1)];
    if (topic === '' || key === '') {
      throw badRequest(`Invalid topic query: ${JSON.stringify(text)}; write topic=Job:web, or topic=Job for every job`);
    }
    wanted[topic] = [...(wanted[topic] ?? []), key];
  }
  return wanted;
}
