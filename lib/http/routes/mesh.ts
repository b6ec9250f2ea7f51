import { MeshError } from '../../structs/errors.js';
import { MESH_ROLES, type MeshRole } from '../../structs/mesh.js';
import { read, written } from '../answer.js';
import { badRequest } from '../errors.js';
import { booleanField, numberField, objectField, stringField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

// The mesh itself: who is in it, who may come in, how they are linked. All of it extends Nomad's API.

export const meshRoutes: Routes = {
  '/v1/mesh': { GET: info },
  '/v1/mesh/members': { GET: members },
  '/v1/mesh/member/:member/approve': { PUT: approve },
  '/v1/mesh/member/:member/revoke': { PUT: revoke },
  '/v1/mesh/invites': { GET: invites, PUT: invite },
  '/v1/mesh/invite/:id': { DELETE: revokeInvite },
  '/v1/mesh/rotate': { PUT: rotate },
  '/v1/mesh/recovery': { PUT: exportRecovery },
  '/v1/mesh/reissue': { PUT: reissue },
  '/v1/mesh/net': { GET: net },
  '/v1/agent/net': { GET: ownNet },
  '/v1/agent/leave': { PUT: leave },
};

async function info({ rpc, reading, signal }: Exchange) {
  const reply = await rpc.call('Mesh.Info', reading(), { signal });
  const { Mesh, Members, Leader, Problems } = reply;
  return read({ Mesh, Members, Leader, Problems }, reply);
}

async function members({ rpc, reading, signal }: Exchange) {
  const reply = await rpc.call('Mesh.Members', reading(), { signal });
  return read(reply.Members, reply);
}

async function approve({ rpc, params, writing, signal }: Exchange) {
  const reply = await rpc.call('Mesh.Approve', { ...writing(), Member: params['member'] ?? '' }, { signal });
  return written(reply.Member, reply.Index);
}

async function revoke({ rpc, params, body, writing, signal }: Exchange) {
  const Reason = stringField(await body(), 'Reason');
  const reply = await rpc.call('Mesh.Revoke', { ...writing(), Member: params['member'] ?? '', Reason }, { signal });
  const { Tombstone, Exposed, Recorded } = reply;
  return written({ Tombstone, Exposed, Recorded }, reply.Index);
}

async function invites({ rpc, reading, signal }: Exchange) {
  const reply = await rpc.call('Mesh.ListInvites', reading(), { signal });
  return read(reply.Invites, reply);
}

async function invite({ rpc, body, writing, signal }: Exchange) {
  const given = await body();
  const Role = stringField(given, 'Role', 'client');
  if (!(MESH_ROLES as readonly string[]).includes(Role))
    throw badRequest(`Role must be one of ${MESH_ROLES.join(', ')}, not ${JSON.stringify(Role)}`);
  const TTLMs = numberField(given, 'TTLMs');
  const args = {
    ...writing(),
    Role: Role as MeshRole,
    ...(TTLMs === 0 ? {} : { TTLMs }),
    Uses: numberField(given, 'Uses', 1),
    Name: stringField(given, 'Name'),
    Tags: (objectField(given, 'Tags') ?? {}) as Record<string, string>,
    Approve: booleanField(given, 'Approve'),
  };
  const { Invite, ID, ExpiresAt, NeedsApproval, Index } = await rpc.call('Mesh.CreateInvite', args, { signal });
  return written({ Invite, ID, ExpiresAt, NeedsApproval }, Index);
}

async function revokeInvite({ rpc, params, writing, signal }: Exchange) {
  const reply = await rpc.call('Mesh.RevokeInvite', { ...writing(), ID: params['id'] ?? '' }, { signal });
  return written(null, reply.Index);
}

async function rotate({ rpc, writing, signal }: Exchange) {
  const { Epoch, Index } = await rpc.call('Mesh.Rotate', writing(), { signal });
  return written({ Epoch }, Index);
}

async function exportRecovery({ rpc, body, writing, signal }: Exchange) {
  const given = stringField(await body(), 'Code');
  const args = { ...writing(), ...(given === '' ? {} : { Code: given }) };
  const { Sealed, Root, Code, Index } = await rpc.call('Mesh.ExportRecovery', args, { signal });
  return written({ Sealed, Root, Code }, Index);
}

async function reissue({ rpc, body, writing, signal }: Exchange) {
  const Code = stringField(await body(), 'Code');
  const { Names, Index } = await rpc.call('Mesh.Reissue', { ...writing(), Code }, { signal });
  return written({ Names }, Index);
}

async function net({ rpc, reading, signal }: Exchange) {
  const { Reports, Unreached, Names } = await rpc.call('Mesh.Net', reading(), { signal });
  return { value: { Reports, Unreached, Names } };
}

/** Of this agent alone: answered also when no server is reached. */
async function ownNet({ agent }: Exchange) {
  const report = agent.net();
  if (report) return { value: report };
  throw new MeshError('E_NOT_FOUND', IN_NO_MESH);
}

/** This agent takes its leave: it is a member no more, and ends. */
async function leave({ agent }: Exchange) {
  const outcome = await agent.leave();
  if (!outcome.ok) throw new MeshError('E_BAD_REQUEST', outcome.error);
  return { value: null };
}

const IN_NO_MESH = 'this agent is in no mesh: found one with "meshnomad init", or join one with "meshnomad join"';
