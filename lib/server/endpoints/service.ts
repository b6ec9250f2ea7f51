import { createHash } from 'node:crypto';
import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { ServiceListStub, ServiceRegistration } from '../../structs/service.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';

/** Instances of one service have no order but their ids. */
const byId = {
  token: ({ ID }: ServiceRegistration): string => ID,
  compare: (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0),
  order: (a: ServiceRegistration, b: ServiceRegistration): number => byId.compare(a.ID, b.ID),
};

/** The catalogue of services. What clients register comes with the states of their allocations (Node.UpdateAlloc). */
export function serviceEndpoints(context: EndpointContext): RpcHandlers {
  // Whether a node is in reach decides on all that it registered.
  const keysOf = (own: ReturnType<typeof watchKeys.services>) => [own, watchKeys.nodes()];

  return {
    async 'ServiceRegistration.List'(args, call) {
      const namespace = namespaceOf(args);
      const { filter } = pageOptions(args);
      return answerQuery(context, args, call, keysOf(watchKeys.services()), async (state) => {
        const isShown = (row: ServiceRegistration): boolean =>
          (args.All || isUsable(row, state)) && (!filter || filter(row));
        const stubs = byNamespace(await context.turns.list(state.services({ namespace }), isShown));
        return { index: state.tableIndex('services', 'nodes'), reply: { Services: stubs } };
      });
    },

    async 'ServiceRegistration.GetService'(args, call) {
      const name = requireText(args.ServiceName, 'service name');
      const namespace = namespaceOf(args);
      const options = pageOptions(args);
      const choice = args.Choose === undefined || args.Choose === '' ? null : parseChoice(args.Choose);
      return answerQuery(context, args, call, keysOf(watchKeys.service(namespace, name)), async (state) => {
        const rows = state.servicesByName(namespace, name).filter((row) => args.All || isUsable(row, state));
        const index = state.tableIndex('services', 'nodes');
        if (choice) {
          const { filter } = options;
          const found = filter ? rows.filter((row) => filter(row)) : rows;
          return { index, reply: { Services: choose(found, choice) } };
        }
        const paged = options.perPage > 0 || options.nextToken !== '';
        const { items, nextToken } = await page(context.turns, paged ? [...rows].sort(byId.order) : rows, {
          ...options,
          ...byId,
          show: (row) => row,
        });
        return { index, reply: { Services: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) } };
      });
    },

    async 'ServiceRegistration.DeleteByID'(args) {
      const id = requireText(args.ID, 'service registration ID');
      const name = requireText(args.ServiceName, 'service name');
      const command = { type: 'service-delete', namespace: namespaceOf(args), name, id } as const;
      const { index } = await propose(context.consensus, command);
      return { Index: index };
    },

    async 'Alloc.GetServiceRegistrations'(args, call) {
      const id = requireText(args.AllocID, 'allocation ID');
      return answerQuery(context, args, call, [watchKeys.services()], (state) => {
        requireFound(state.allocById(id), 'alloc');
        return { index: state.tableIndex('services'), reply: { Services: [...state.servicesByAlloc(id)] } };
      });
    },
  };
}

/** Whether somebody who looks for the service is to be sent there. */
function isUsable(row: ServiceRegistration, state: StateSnapshot): boolean {
  return row.Health === 'passing' && state.nodeById(row.NodeID)?.Status === 'ready';
}

function byNamespace(rows: readonly ServiceRegistration[]): ServiceListStub[] {
  const found = new Map<string, Map<string, Set<string>>>();
  for (const { Namespace, ServiceName, Tags } of rows) {
    const names = found.get(Namespace) ?? new Map<string, Set<string>>();
    found.set(Namespace, names);
    const tags = names.get(ServiceName) ?? new Set<string>();
    names.set(ServiceName, tags);
    for (const tag of Tags ?? []) tags.add(tag);
  }
  return [...found].sort(byKey).map(([Namespace, names]) => ({
    Namespace,
    Services: [...names].sort(byKey).map(([ServiceName, tags]) => ({ ServiceName, Tags: [...tags].sort() })),
  }));
}

const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

interface Choice {
  count: number;
  key: string;
}

/** Reads "3|caller": how many, and for whom. */
function parseChoice(text: string): Choice {
  const [count, key, ...more] = text.split('|');
  if (more.length > 0 || !/^[1-9]\d{0,5}$/.test(count ?? '') || !key) {
    throw new MeshError('E_BAD_REQUEST', `choose must be "NUMBER|KEY", such as "1|web-0", not ${JSON.stringify(text)}`);
  }
  return { count: Number(count), key };
}

/** Rendezvous hashing: one that comes or goes changes the choice of as few callers as possible. */
function choose(rows: readonly ServiceRegistration[], { count, key }: Choice): ServiceRegistration[] {
  const weighted = rows.map((row) => ({
    row,
    weight: createHash('sha256').update(`${key}\0${row.ID}`).digest('hex'),
  }));
  weighted.sort((a, b) => (a.weight < b.weight ? -1 : 1));
  return weighted.slice(0, count).map(({ row }) => row);
}
