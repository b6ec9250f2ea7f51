import { read, written } from '../answer.js';
import { badRequest } from '../errors.js';
import { booleanField, objectField, stringField } from '../fields.js';
import { flag } from '../query.js';
import type { Exchange, Routes } from '../router.js';

export const volumeBackupRoutes: Routes = {
  '/v1/volumes/backups': { GET: list },
  '/v1/volume/backup/:id': { GET: get, PUT: begin, DELETE: forget },
  '/v1/volume/backup/:id/plan': { PUT: setPlan },
  '/v1/volume/backup/:id/restore': { PUT: restore },
  '/v1/volume/backup/:id/move': { PUT: move },
};

const volumeOf = (exchange: Exchange) => ({
  Volume: exchange.params['id'] ?? '',
  OnNode: exchange.query.get('on') ?? '',
  Type: typeOf(exchange.query.get('type') ?? ''),
});

function typeOf(type: string): '' | 'csi' | 'host' {
  if (type === '' || type === 'csi' || type === 'host') return type;
  throw badRequest(`type must be csi or host, not ${JSON.stringify(type)}`);
}

async function list(exchange: Exchange) {
  const reply = await exchange.rpc.call('VolumeData.List', exchange.reading(), exchange);
  return read(reply.Archives, reply);
}

async function get(exchange: Exchange) {
  const reply = await exchange.rpc.call('VolumeData.Get', { ...exchange.reading(), ...volumeOf(exchange) }, exchange);
  return read(reply.Archive, reply);
}

async function begin(exchange: Exchange) {
  const args = { ...exchange.writing(), ...volumeOf(exchange) };
  const { ArchiveID, Operation, Index } = await exchange.rpc.call('VolumeData.Backup', args, exchange);
  return written({ ArchiveID, Operation }, Index);
}

async function setPlan(exchange: Exchange) {
  const Plan = objectField(await exchange.body(), 'Plan');
  if (Plan === null) throw badRequest('Plan must be an object');
  const args = { ...exchange.writing(), ...volumeOf(exchange), Plan };
  const { ArchiveID, Index } = await exchange.rpc.call('VolumeData.SetPlan', args, exchange);
  return written({ ArchiveID }, Index);
}

async function restore(exchange: Exchange) {
  const body = await exchange.body();
  const args = {
    ...exchange.writing(),
    ...volumeOf(exchange),
    SnapshotID: stringField(body, 'SnapshotID'),
    TargetNodeID: stringField(body, 'TargetNode'),
    As: stringField(body, 'As'),
    Force: booleanField(body, 'Force'),
  };
  const { ArchiveID, Operation, Snapshot, Index } = await exchange.rpc.call('VolumeData.Restore', args, exchange);
  return written({ ArchiveID, Operation, Snapshot }, Index);
}

async function move(exchange: Exchange) {
  const body = await exchange.body();
  const args = {
    ...exchange.writing(),
    ...volumeOf(exchange),
    TargetNodeID: stringField(body, 'TargetNode'),
    Keep: booleanField(body, 'Keep'),
  };
  const { ArchiveID, Operation, Index } = await exchange.rpc.call('VolumeData.Move', args, exchange);
  return written({ ArchiveID, Operation }, Index);
}

async function forget(exchange: Exchange) {
  const SnapshotIDs = exchange.query.getAll('snapshot');
  const All = flag(exchange.query, 'all');
  if (SnapshotIDs.length === 0 && !All) throw badRequest('name a snapshot, or all=true');
  const args = { ...exchange.writing(), ...volumeOf(exchange), SnapshotIDs, All };
  const reply = await exchange.rpc.call('VolumeData.Forget', args, exchange);
  return written(null, reply.Index);
}
