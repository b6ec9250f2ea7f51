import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import { EVENT_TOPICS, type StreamEvent } from '../../structs/event.js';
import type { EventBatch } from '../../structs/rpc-event.js';
import type { RpcContext, RpcStreamHandlers } from '../../transport/rpc.js';
import { nearest } from '../../util/nearest.js';
import { EventBroker, type EventReader } from '../events/broker.js';
import { eventsOf, type Told } from '../events/events.js';
import { roomIn } from '../node-path.js';
import { type EndpointContext, namespaceOf } from './context.js';

/** Events in one message: a plan of thousands holds up nobody. */
const EVENTS_MAX = 64;

/** The changes of the state as they are applied here: every server tells its own, so none asks the leader. */
export function eventStreams(context: EndpointContext): RpcStreamHandlers {
  const { store, config } = context;
  const size = config.eventBufferSize ?? 100;
  const broker = new EventBroker(size);
  if (size > 0) store.onCommit((commit) => broker.publish(commit));
  store.onRestore(() => broker.replaced());

  return {
    'Event.Stream'(args, stream, { peer }) {
      const refused = size > 0 ? topicsProblem(args.Topics) : DISABLED;
      if (refused !== null) {
        stream.destroy(refused);
        return;
      }
      const wants = wanted(args, peer);
      const reader = broker.read(args.Index);
      stream.once('close', () => reader.close(new MeshError('E_TIMEOUT', 'the reader is gone')));
      tellAll(context, { stream, reader, wants }).catch((error: Error) => stream.destroy(error));
    },
  };
}

const DISABLED = new MeshError(
  'E_NOT_SUPPORTED',
  'this server keeps no events: server { enable_event_broker = false } in its configuration',
);

type Wants = (about: Told['about']) => boolean;

/** Tells what is wanted, commit by commit, at the pace of who reads. */
async function tellAll(
  { store, timers }: EndpointContext,
  { stream, reader, wants }: { stream: Duplex; reader: EventReader; wants: Wants },
): Promise<void> {
  const send = async (batch: EventBatch): Promise<void> => {
    if (stream.write(batch)) await new Promise<void>((resolve) => timers.soon(resolve));
    else await roomIn(stream);
  };
  await send({ Index: 0, Events: [] });
  while (!stream.destroyed) {
    const commit = await reader.next();
    let events: StreamEvent[] = [];
    for (const { about, payload } of eventsOf(commit, store.snapshot())) {
      if (!wants(about)) continue;
      if (events.length === EVENTS_MAX) {
        await send({ Index: commit.index, Events: events, More: true });
        events = [];
      }
      events.push({ ...about, Payload: payload() });
    }
    if (events.length > 0) await send({ Index: commit.index, Events: events });
  }
}

/** What a reader hears of. What secrets there are is not for machines that only run work. */
function wanted(args: { Topics: Record<string, string[]>; Namespace?: string }, peer: RpcContext['peer']): Wants {
  const { Topics } = args;
  const namespace = namespaceOf(args);
  return ({ Topic, Key, FilterKeys, Namespace: of }) => {
    if (of !== '' && namespace !== '*' && of !== namespace) return false;
    if (Topic === 'Variable' && peer?.role === 'client') return false;
    const keys = [...(Topics['*'] ?? []), ...(Topics[Topic] ?? [])];
    return keys.some((key) => key === '*' || key === Key || FilterKeys?.includes(key));
  };
}

function topicsProblem(topics: Record<string, string[]>): MeshError | null {
  const known: readonly string[] = EVENT_TOPICS;
  const unknown = Object.keys(topics).find((topic) => topic !== '*' && !known.includes(topic));
  if (unknown === undefined) return null;
  const meant = nearest(unknown, known);
  const hint = meant === undefined ? `topics are ${known.join(', ')}` : `did you mean ${JSON.stringify(meant)}?`;
  return new MeshError('E_BAD_REQUEST', `Invalid topic query: there is no topic ${JSON.stringify(unknown)}; ${hint}`);
}
