import type { CsiSecrets, CsiSnapshot, CsiVolumeRequest } from '../../structs/csi.js';
import type { HostVolumeSpec } from '../../structs/host-volume.js';
import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { numberField, objectField } from '../fields.js';
import { flag } from '../query.js';
import type { Exchange, Routes } from '../router.js';

export const volumeRoutes: Routes = {
  '/v1/volumes': { GET: list },
  '/v1/volumes/external': { GET: external },
  '/v1/volumes/snapshot': { GET: snapshots, PUT: createSnapshot, DELETE: deleteSnapshot },
  '/v1/volumes/claims': { GET: claims },
  '/v1/volumes/claim/:id': { DELETE: deleteClaim },
  '/v1/volume/csi/:id': { GET: get, PUT: register, DELETE: deregister },
  '/v1/volume/csi/:id/create': { PUT: create },
  '/v1/volume/csi/:id/delete': { DELETE: remove },
  '/v1/volume/csi/:id/detach': { DELETE: detach },
  '/v1/volume/csi/:id/expand': { PUT: expand },
  '/v1/volume/csi/:id/stats': { GET: stats },
  '/v1/volume/csi/:id/storage': { GET: atStorage },
  '/v1/volume/host/create': { PUT: createHost },
  '/v1/volume/host/register': { PUT: registerHost },
  '/v1/volume/host/:id': { GET: getHost, DELETE: removeHost },
  '/v1/volume/host/:id/delete': { DELETE: removeHost },
  '/v1/plugins': { GET: plugins },
  '/v1/plugin/csi/:id': { GET: plugin, DELETE: removePlugin },
  '/v1/plugin/csi/:id/capacity': { GET: capacity },
};

const idOf = (exchange: Exchange): string => exchange.params['id'] ?? '';
const param = (exchange: Exchange, name: string): string => exchange.query.get(name) ?? '';

async function list(exchange: Exchange) {
  const type = param(exchange, 'type') || 'csi';
  const nodeId = param(exchange, 'node_id');
  // An empty one would be taken for this agent's own node.
  const ofNode = nodeId === '' ? {} : { NodeID: nodeId };
  if (type === 'host') {
    const args = { ...exchange.reading(), ...ofNode, NodePool: param(exchange, 'node_pool') };
    const reply = await exchange.rpc.call('HostVolume.List', args, exchange);
    return read(reply.Volumes, reply);
  }
  if (type !== 'csi') throw badRequest(`type must be csi or host, not ${JSON.stringify(type)}`);
  const args = { ...exchange.reading(), ...ofNode, PluginID: param(exchange, 'plugin_id') };
  const reply = await exchange.rpc.call('CSIVolume.List', args, exchange);
  return read(reply.Volumes, reply);
}

async function get(exchange: Exchange) {
  const reply = await exchange.rpc.call('CSIVolume.Get', { ...exchange.reading(), ID: idOf(exchange) }, exchange);
  if (!reply.Volume) throw notFound('volume not found');
  return read(reply.Volume, reply);
}

async function register(exchange: Exchange) {
  const args = { ...exchange.writing(), Volumes: await volumesOf(exchange) };
  const reply = await exchange.rpc.call('CSIVolume.Register', args, exchange);
  return written(null, reply.Index);
}

async function create(exchange: Exchange) {
  const args = { ...exchange.writing(), Volumes: await volumesOf(exchange) };
  const { Volumes, Warnings, Index } = await exchange.rpc.call('CSIVolume.Create', args, exchange);
  return written({ Volumes, Warnings }, Index);
}

/** The volumes of a body; the path names one of them, or it is a mistake. */
async function volumesOf(exchange: Exchange): Promise<CsiVolumeRequest[]> {
  const body = await exchange.body();
  const volumes = body['Volumes'];
  if (!Array.isArray(volumes) || volumes.length === 0)
    throw badRequest('Volumes must be a list of one volume at least');
  const id = idOf(exchange);
  if (!volumes.some((volume: CsiVolumeRequest | null) => volume?.ID === id)) {
    throw badRequest(`no volume of the body has the ID of the path, ${JSON.stringify(id)}`);
  }
  return volumes as CsiVolumeRequest[];
}

async function deregister(exchange: Exchange) {
  const Force = flag(exchange.query, 'force');
  const args = { ...exchange.writing(), VolumeIDs: [idOf(exchange)], Force, Reason: param(exchange, 'reason') };
  const reply = await exchange.rpc.call('CSIVolume.Deregister', args, exchange);
  return written(null, reply.Index);
}

async function remove(exchange: Exchange) {
  const args = { ...exchange.writing(), VolumeIDs: [idOf(exchange)], Secrets: secretsOf(exchange) };
  const reply = await exchange.rpc.call('CSIVolume.Delete', args, exchange);
  return written(null, reply.Index);
}

async function detach(exchange: Exchange) {
  const NodeID = param(exchange, 'node');
  if (NodeID === '') throw badRequest('detach requires node ID');
  const Force = flag(exchange.query, 'force');
  const args = { ...exchange.writing(), VolumeID: idOf(exchange), NodeID, Force, Reason: param(exchange, 'reason') };
  const reply = await exchange.rpc.call('CSIVolume.Detach', args, exchange);
  return written(null, reply.Index);
}

async function expand(exchange: Exchange) {
  const body = await exchange.body();
  const args = {
    ...exchange.writing(),
    VolumeID: idOf(exchange),
    CapacityMin: numberField(body, 'CapacityMin'),
    CapacityMax: numberField(body, 'CapacityMax'),
    Secrets: objectField(body, 'Secrets') as CsiSecrets | null,
  };
  const { CapacityBytes, Index } = await exchange.rpc.call('CSIVolume.Expand', args, exchange);
  return written({ CapacityBytes }, Index);
}

async function stats(exchange: Exchange) {
  const reply = await exchange.rpc.call('CSIVolume.Stats', { ...exchange.reading(), ID: idOf(exchange) }, exchange);
  return read(reply.Uses, reply);
}

async function atStorage(exchange: Exchange) {
  const args = { ...exchange.reading(), ID: idOf(exchange) };
  const reply = await exchange.rpc.call('CSIVolume.AtStorage', args, exchange);
  return read(reply.AtStorage, reply);
}

async function capacity(exchange: Exchange) {
  const reply = await exchange.rpc.call('CSIPlugin.Capacity', { ...exchange.reading(), ID: idOf(exchange) }, exchange);
  return read(reply.Places, reply);
}

async function external(exchange: Exchange) {
  const args = { ...exchange.reading(), PluginID: param(exchange, 'plugin_id') };
  const reply = await exchange.rpc.call('CSIVolume.ListExternal', args, exchange);
  return read({ Volumes: reply.Volumes, NextToken: reply.NextToken }, reply);
}

async function snapshots(exchange: Exchange) {
  const args = { ...exchange.reading(), PluginID: param(exchange, 'plugin_id'), Secrets: secretsOf(exchange) };
  const reply = await exchange.rpc.call('CSIVolume.ListSnapshots', args, exchange);
  return read({ Snapshots: reply.Snapshots, NextToken: reply.NextToken }, reply);
}

async function createSnapshot(exchange: Exchange) {
  const body = await exchange.body();
  const wanted = body['Snapshots'];
  if (!Array.isArray(wanted)) throw badRequest('Snapshots must be a list');
  const args = { ...exchange.writing(), Snapshots: wanted as Partial<CsiSnapshot>[] };
  const { Snapshots, Index } = await exchange.rpc.call('CSIVolume.CreateSnapshot', args, exchange);
  return written({ Snapshots }, Index);
}

async function deleteSnapshot(exchange: Exchange) {
  const snapshot = {
    ID: param(exchange, 'snapshot_id'),
    PluginID: param(exchange, 'plugin_id'),
    Secrets: secretsOf(exchange),
  };
  const args = { ...exchange.writing(), Snapshots: [snapshot] };
  const reply = await exchange.rpc.call('CSIVolume.DeleteSnapshot', args, exchange);
  return written(null, reply.Index);
}

/** Secrets for one call, where there is no body: `X-Nomad-CSI-Secrets: key=value,key=value`. */
function secretsOf(exchange: Exchange): CsiSecrets | null {
  const header = exchange.request.headers['x-nomad-csi-secrets'];
  if (typeof header !== 'string' || header.trim() === '') return null;
  const pairs = header.split(',').map((pair): [string, string] => {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw badRequest('X-Nomad-CSI-Secrets must be key=value pairs, with commas between');
    return [pair.slice(0, equals).trim(), pair.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

async function claims(exchange: Exchange) {
  const args = {
    ...exchange.reading(),
    JobID: param(exchange, 'job_id'),
    TaskGroup: param(exchange, 'task_group'),
    VolumeName: param(exchange, 'volume_name'),
  };
  const reply = await exchange.rpc.call('HostVolume.ClaimList', args, exchange);
  return read(reply.Claims, reply);
}

async function deleteClaim(exchange: Exchange) {
  const args = { ...exchange.writing(), ClaimID: idOf(exchange) };
  const reply = await exchange.rpc.call('HostVolume.ClaimDelete', args, exchange);
  return written(null, reply.Index);
}

async function createHost(exchange: Exchange) {
  const args = { ...exchange.writing(), Volume: await hostVolumeOf(exchange) };
  const { Volume, Warnings, Index } = await exchange.rpc.call('HostVolume.Create', args, exchange);
  return written({ Volume, Warnings }, Index);
}

async function registerHost(exchange: Exchange) {
  const args = { ...exchange.writing(), Volume: await hostVolumeOf(exchange) };
  const { Volume, Warnings, Index } = await exchange.rpc.call('HostVolume.Register', args, exchange);
  return written({ Volume, Warnings }, Index);
}

async function hostVolumeOf(exchange: Exchange): Promise<HostVolumeSpec> {
  const volume = objectField(await exchange.body(), 'Volume');
  if (volume === null) throw badRequest('Volume must be an object');
  return volume as HostVolumeSpec;
}

async function getHost(exchange: Exchange) {
  const reply = await exchange.rpc.call('HostVolume.Get', { ...exchange.reading(), ID: idOf(exchange) }, exchange);
  if (!reply.Volume) throw notFound('host volume not found');
  return read(reply.Volume, reply);
}

async function removeHost(exchange: Exchange) {
  const Force = flag(exchange.query, 'force');
  const args = { ...exchange.writing(), VolumeID: idOf(exchange), Force, Reason: param(exchange, 'reason') };
  const reply = await exchange.rpc.call('HostVolume.Delete', args, exchange);
  return written(null, reply.Index);
}

async function plugins(exchange: Exchange) {
  const type = param(exchange, 'type') || 'csi';
  if (type !== 'csi') throw badRequest(`type must be csi, not ${JSON.stringify(type)}`);
  const reply = await exchange.rpc.call('CSIPlugin.List', exchange.reading(), exchange);
  return read(reply.Plugins, reply);
}

async function plugin(exchange: Exchange) {
  const reply = await exchange.rpc.call('CSIPlugin.Get', { ...exchange.reading(), ID: idOf(exchange) }, exchange);
  if (!reply.Plugin) throw notFound('plugin not found');
  return read(reply.Plugin, reply);
}

async function removePlugin(exchange: Exchange) {
  const reply = await exchange.rpc.call('CSIPlugin.Delete', { ...exchange.writing(), ID: idOf(exchange) }, exchange);
  return written(null, reply.Index);
}
