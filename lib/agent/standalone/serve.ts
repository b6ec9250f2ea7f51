import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MetricPoint } from '../../http/agent-facts.js';
import { errorAnswer, notFound } from '../../http/errors.js';
import { metricsJson, metricsText } from '../../http/metrics.js';
import { methodOf, readTarget, refuseForeignPages } from '../../http/request.js';
import type { ScalingStandings } from '../../structs/rpc-scaling.js';

/** What an autoscaler of its own process tells of itself. */
export interface StandaloneFacts {
  standing(): ScalingStandings;
  metrics(): MetricPoint[];
  /** Reads its files again; what was wrong with them. */
  reload(): string[];
}

const REQUEST_MS = 30_000;

/** Nomad's autoscaler's paths (health, metrics, reload), and its standing as agents tell it. */
export async function serveStandalone(
  { address, port }: { address: string; port: number },
  facts: StandaloneFacts,
): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    request.resume();
    try {
      respond(request, response, facts);
    } catch (error) {
      const { status, text } = errorAnswer(error);
      send(response, status, 'text/plain', text);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Error(`cannot listen at ${address}:${port}: ${error.message}`)));
    server.listen(port, address, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function respond(request: IncomingMessage, response: ServerResponse, facts: StandaloneFacts): void {
  refuseForeignPages(request);
  const { path, query } = readTarget(request);
  const asked = `${methodOf(request)} ${path}`;
  if (asked === 'GET /v1/metrics' && query.get('format') === 'prometheus') {
    send(response, 200, 'text/plain; version=0.0.4', metricsText(facts.metrics()));
    return;
  }
  const answers: Record<string, () => object> = {
    'GET /v1/health': () => ({}),
    'GET /v1/metrics': () => metricsJson(facts.metrics()),
    'GET /v1/autoscaler/status': () => facts.standing(),
    'PUT /v1/agent/reload': () => ({ Problems: facts.reload() }),
  };
  const answer = Object.hasOwn(answers, asked) ? answers[asked] : undefined;
  if (!answer) throw notFound(`nothing is here; there are ${Object.keys(answers).join(', ')}`);
  send(response, 200, 'application/json', JSON.stringify(answer()));
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}
