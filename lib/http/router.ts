import type { IncomingMessage, ServerResponse } from 'node:http';
import type { QueryOptions, WriteOptions } from '../structs/rpc.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { AgentFacts } from './agent-facts.js';

export type Method = 'GET' | 'PUT' | 'DELETE';

/** One request, as a route sees it. PUT and POST are the same to Nomad's API, and so are they here. */
export interface Exchange {
  readonly rpc: RpcCaller;
  readonly agent: AgentFacts;
  readonly method: Method;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborted when the caller hangs up. */
  readonly signal: AbortSignal;
  /** Options of a read, or of a write, taken from the query string and the token header. */
  reading(): QueryOptions;
  writing(): WriteOptions;
  /** The JSON body; refuses what is none, or is larger than `limitBytes`. */
  body(limitBytes?: number): Promise<Record<string, unknown>>;
}

/** What a route gives back: a value for JSON with the meta data of its answer, or nothing when it wrote the response itself. */
export interface Answer {
  value: unknown;
  /** The value is as the state has it, shared and never changed: its text may be kept. */
  shared?: boolean;
  index?: number;
  lastContactMs?: number;
  knownLeader?: boolean;
  nextToken?: string;
  /** No server could be asked: the agent told what it knows itself. */
  alone?: boolean;
  /** Plain text instead of JSON. */
  text?: string;
  status?: number;
}

export type RouteHandler = (exchange: Exchange) => Promise<Answer | undefined>;

/** `:x` is one path segment; `*x` is one or more, for job ids, which may have slashes. */
export type Routes = Record<string, Partial<Record<Method, RouteHandler>>>;

interface Compiled {
  pattern: RegExp;
  names: string[];
  handlers: Partial<Record<Method, RouteHandler>>;
}

export interface Match {
  handlers: Partial<Record<Method, RouteHandler>>;
  params: Record<string, string>;
}

/** Finds the route of a path: exact ones first, then the patterns in the order they were given. */
export class Router {
  readonly #exact = new Map<string, Partial<Record<Method, RouteHandler>>>();
  readonly #patterns: Compiled[] = [];

  add(routes: Routes): void {
    for (const [path, handlers] of Object.entries(routes)) {
      if (!/[:*]/.test(path)) {
        this.#exact.set(path, handlers);
        continue;
      }
      const names: string[] = [];
      const source = path.replace(/([:*])(\w+)/g, (_, kind: string, name: string) => {
        names.push(name);
        return kind === ':' ? '([^/]+)' : '(.+)';
      });
      this.#patterns.push({ pattern: new RegExp(`^${source}$`), names, handlers });
    }
  }

  /** Undefined: no such path. A malformed percent-escape in a parameter throws URIError. */
  find(path: string): Match | undefined {
    const exact = this.#exact.get(path);
    if (exact) return { handlers: exact, params: {} };
    for (const { pattern, names, handlers } of this.#patterns) {
      const match = pattern.exec(path);
      if (!match) continue;
      const params: Record<string, string> = {};
      names.forEach((name, i) => {
        params[name] = decodeURIComponent(match[i + 1] ?? '');
      });
      return { handlers, params };
    }
    return undefined;
  }
}
