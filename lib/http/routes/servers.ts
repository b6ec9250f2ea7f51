import { MeshError } from '../../structs/errors.js';
import type { AutopilotConfiguration, AutopilotHealthReply, ServerMember } from '../../structs/operator.js';
import { formatDuration, parseDuration } from '../../util/duration.js';
import { read, written } from '../answer.js';
import { badRequest } from '../errors.js';
import { booleanField, numberField } from '../fields.js';
import { wholeNumber } from '../query.js';
import type { Exchange, Routes } from '../router.js';
import { restoreSnapshot, saveSnapshot } from '../snapshot.js';

/** The servers as a group, in Nomad's paths and shapes; `servers/why` and `recover` are extensions. */
export const serverRoutes: Routes = {
  '/v1/agent/members': { GET: members },
  '/v1/agent/join': { PUT: refuseJoin },
  '/v1/agent/force-leave': { PUT: refuseForceLeave },
  '/v1/operator/raft/configuration': { GET: raftConfiguration },
  '/v1/operator/raft/peer': { DELETE: removePeer },
  '/v1/operator/raft/transfer-leadership': { PUT: transferLeadership },
  '/v1/operator/autopilot/configuration': { GET: getAutopilot, PUT: setAutopilot },
  '/v1/operator/autopilot/health': { GET: health },
  '/v1/operator/servers/why': { GET: why },
  '/v1/operator/snapshot': { GET: saveSnapshot, PUT: restoreSnapshot },
  '/v1/operator/recover': { GET: recoveryView, PUT: recover },
};

async function members({ rpc, agent, signal }: Exchange) {
  const about = agent.members() as { ServerRegion?: string; ServerDC?: string };
  try {
    const { Members } = await rpc.call('Status.Members', {}, { signal });
    return { value: { ...about, Members: Members.map((member) => memberOf(member, about)) } };
  } catch (error) {
    // While the agent starts, and on one that reaches no server, it speaks for itself.
    if (error instanceof MeshError) return { value: about };
    throw error;
  }
}

/** Serf's shape: what has no word there is a tag. */
function memberOf(member: ServerMember, about: { ServerRegion?: string; ServerDC?: string }): object {
  const at = member.Address.lastIndexOf(':');
  const port = at < 0 ? 0 : Number(member.Address.slice(at + 1));
  const region = about.ServerRegion ?? 'global';
  return {
    Name: `${member.Name}.${region}`,
    Addr: at < 0 ? member.Address : member.Address.slice(0, at),
    Port: port,
    Status: member.Status === 'dead' ? 'failed' : member.Status,
    Tags: {
      role: 'nomad',
      region,
      dc: member.Datacenter || (about.ServerDC ?? ''),
      build: member.Version,
      port: String(port),
      id: member.ID,
      raft_vsn: '3',
      standing: member.Standing,
      raft_term: String(member.Term),
      raft_index: String(member.LastIndex),
      raft_lag: String(member.Lag),
    },
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

async function refuseJoin(): Promise<never> {
  throw new MeshError(
    'E_NOT_SUPPORTED',
    'a server is joined by its invite, not by its address: "meshnomad invite -role server" there, "meshnomad join" here',
  );
}

async function refuseForceLeave(): Promise<never> {
  throw new MeshError(
    'E_NOT_SUPPORTED',
    'a dead server is replaced by autopilot; to put it out for good: "meshnomad revoke", or "meshnomad operator raft remove-peer"',
  );
}

async function raftConfiguration(exchange: Exchange) {
  const reply = await exchange.rpc.call('Operator.RaftGetConfiguration', exchange.reading(), exchange);
  return read(reply.Configuration, reply);
}

/** Nomad's two ways to name a server: its id, or its address. */
function peerOf({ query }: Exchange): string {
  const [id, address] = [query.get('id'), query.get('address')];
  if (id && address) throw badRequest('must specify either peer id or address, not both');
  return id || address || '';
}

async function removePeer(exchange: Exchange) {
  const Peer = peerOf(exchange);
  if (Peer === '') throw badRequest('missing peer ID or address: write ?id= or ?address=');
  const { Index } = await exchange.rpc.call('Operator.RaftRemovePeer', { ...exchange.writing(), Peer }, exchange);
  return written(null, Index);
}

async function transferLeadership(exchange: Exchange) {
  const args = { ...exchange.writing(), Peer: peerOf(exchange) };
  const { From, To, Noop, Index } = await exchange.rpc.call('Operator.TransferLeadership', args, exchange);
  return written({ From: { ID: From }, To: { ID: To }, Noop, Err: null }, Index);
}

async function getAutopilot(exchange: Exchange) {
  const reply = await exchange.rpc.call('Operator.AutopilotGetConfiguration', exchange.reading(), exchange);
  return read(shownConfig(reply.Config), reply);
}

/** As Nomad shows it: durations as text; what needs Nomad's enterprise version is off. */
function shownConfig(config: AutopilotConfiguration): object {
  return {
    ...config,
    LastContactThreshold: formatDuration(config.LastContactThreshold),
    ServerStabilizationTime: formatDuration(config.ServerStabilizationTime),
    EnableRedundancyZones: false,
    DisableUpgradeMigration: false,
    EnableCustomUpgrades: false,
  };
}

async function setAutopilot(exchange: Exchange) {
  const body = await exchange.body();
  const present = await exchange.rpc.call('Operator.AutopilotGetConfiguration', { AllowStale: true }, exchange);
  const { Config } = present;
  const config: Partial<AutopilotConfiguration> = {
    CleanupDeadServers: booleanField(body, 'CleanupDeadServers', Config.CleanupDeadServers),
    LastContactThreshold: durationField(body, 'LastContactThreshold', Config.LastContactThreshold),
    MaxTrailingLogs: numberField(body, 'MaxTrailingLogs', Config.MaxTrailingLogs),
    MinQuorum: numberField(body, 'MinQuorum', Config.MinQuorum),
    ServerStabilizationTime: durationField(body, 'ServerStabilizationTime', Config.ServerStabilizationTime),
    MaxVoters: numberField(body, 'MaxVoters', Config.MaxVoters),
  };
  for (const name of ['EnableRedundancyZones', 'DisableUpgradeMigration', 'EnableCustomUpgrades']) {
    if (booleanField(body, name)) throw badRequest(`${name} is of Nomad's enterprise version: leave it out`);
  }
  const cas = wholeNumber(exchange.query, 'cas');
  const args = {
    ...exchange.writing(),
    Config: config,
    ...(cas === undefined ? {} : { Cas: true, ModifyIndex: cas }),
  };
  const reply = await exchange.rpc.call('Operator.AutopilotSetConfiguration', args, exchange);
  return written(reply.Updated, reply.Index);
}

/** "10s", or nanoseconds. */
function durationField(body: Record<string, unknown>, name: string, fallback: number): number {
  const value = body[name];
  if (typeof value !== 'string') return numberField(body, name, fallback);
  const parsed = parseDuration(value);
  if (!parsed.ok) throw badRequest(`${name} must be a duration such as "10s"`);
  return parsed.value;
}

async function health(exchange: Exchange) {
  const found = await exchange.rpc.call('Operator.ServerHealth', exchange.reading(), exchange);
  const value: AutopilotHealthReply = {
    ...found,
    Servers: found.Servers.map((server) => ({ ...server, LastContact: formatDuration(server.LastContact) })),
    Leader: found.Servers.find(({ Leader }) => Leader)?.ID ?? '',
    Voters: found.Servers.filter(({ Voter }) => Voter).map(({ ID }) => ID),
  };
  // Nomad's word for "not all is well" here.
  return { value, status: value.Healthy ? 200 : 429 };
}

async function why(exchange: Exchange) {
  return { value: await exchange.rpc.call('Operator.ServerWhy', exchange.reading(), exchange) };
}

async function recoveryView(exchange: Exchange) {
  return { value: await exchange.rpc.call('Operator.RecoveryView', {}, exchange) };
}

async function recover(exchange: Exchange) {
  return { value: await exchange.rpc.call('Operator.Recover', exchange.writing(), exchange) };
}
