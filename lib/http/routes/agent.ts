import { MeshError } from '../../structs/errors.js';
import { badRequest } from '../errors.js';
import { metricsJson, metricsText } from '../metrics.js';
import { monitor } from '../monitor.js';
import type { Exchange, Routes } from '../router.js';

export const agentRoutes: Routes = {
  '/v1/agent/self': { GET: async ({ agent }) => ({ value: agent.self() }) },
  '/v1/agent/servers': { GET: async ({ agent }) => ({ value: agent.servers() }) },
  '/v1/agent/health': { GET: health },
  '/v1/agent/monitor': { GET: monitor },
  '/v1/agent/reload': { PUT: reload },
  '/v1/metrics': { GET: metrics },
  '/v1/regions': { GET: regions },
  '/v1/namespaces': { GET: async () => ({ value: [DEFAULT_NAMESPACE], index: 1, knownLeader: true }) },
  '/v1/namespace/default': { GET: async () => ({ value: DEFAULT_NAMESPACE, index: 1, knownLeader: true }) },
};

const DEFAULT_NAMESPACE = {
  Name: 'default',
  Description: 'Default shared namespace',
  Quota: '',
  Capabilities: null,
  Meta: null,
  CreateIndex: 1,
  ModifyIndex: 1,
};

async function health({ agent, query }: Exchange) {
  const type = query.get('type');
  if (type !== null && type !== 'server' && type !== 'client') throw badRequest('type must be "server" or "client"');
  const { server, client } = agent.health();
  const value: Record<string, object> = {};
  if (server && type !== 'client') value['server'] = server;
  if (client && type !== 'server') value['client'] = client;
  if (type === 'server' && !server) value['server'] = { ok: false, message: 'server not enabled' };
  if (type === 'client' && !client) value['client'] = { ok: false, message: 'client not enabled' };
  const ok = Object.values(value).every((part) => (part as { ok: boolean }).ok);
  return { value, status: ok ? 200 : 500 };
}

async function reload({ agent }: Exchange) {
  const outcome = await agent.reload();
  if (!outcome.ok) throw new MeshError('E_BAD_REQUEST', outcome.error);
  return { value: { Reloaded: outcome.value } };
}

async function metrics({ agent, query }: Exchange) {
  const format = query.get('format');
  if (format !== null && format !== '' && format !== 'prometheus') {
    throw badRequest(`unknown format ${JSON.stringify(format)}: leave it out for JSON, or write format=prometheus`);
  }
  const figures = agent.metrics();
  return format ? { value: null, text: metricsText(figures) } : { value: metricsJson(figures) };
}

async function regions({ agent }: Exchange) {
  const self = agent.self() as { config?: { Region?: string } };
  return { value: [self.config?.Region ?? 'global'] };
}
