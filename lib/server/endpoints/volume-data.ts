import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { WriteOptions } from '../../structs/rpc.js';
import type { VolumeName } from '../../structs/rpc-volume-data.js';
import type { VolumeArchive, VolumeOperation, VolumeSnapshot } from '../../structs/volume-data.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { randomUuid } from '../../util/random.js';
import { answerQuery } from '../blocking.js';
import { mayListVolume, type VolumeOperation as Right, requireVolumeAccess } from '../volume-access.js';
import { type ArchiveSubject, refuseBusy } from '../volume-data/archives.js';
import { csiMoveGoal, csiRestoreGoal, requireCsiBackup } from '../volume-data/csi-goals.js';
import { withoutSnapshots } from '../volume-data/keep.js';
import { archivedVolume } from '../volume-data/operations.js';
import { checkPlan } from '../volume-data/plan.js';
import { newBackup, newOperation } from '../volume-data/schedule.js';
import { findNode, findSubject, isThere, type Subject, VOLUME_NAME } from '../volume-data/subject.js';
import { chooseTarget, csiUsers, hostUsers, refuseUsers, requireReady, usersToEnd } from '../volume-data/target.js';
import { ageOf, archiveStub, archiveView } from '../volume-data/view.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';

type Asked = VolumeName & WriteOptions;

/** The copies of volumes' data: made, shown, made volumes again, forgotten. */
export function volumeDataEndpoints(context: EndpointContext): RpcHandlers {
  const { store, archives, archivist, consensus } = context;

  const subjectOf = async (args: Asked, right: Right): Promise<Subject> => {
    await consensus.readIndex();
    const namespace = namespaceOf(args);
    const volume = requireText(args.Volume, 'volume');
    const wanted = { volume, onNode: args.OnNode ?? '', type: args.Type ?? '' };
    const subject = findSubject(store.snapshot(), namespace, wanted);
    requireVolumeAccess(context, args, {
      kind: subject.Csi ? 'csi' : 'host',
      namespace,
      name: subject.Name,
      operation: right,
    });
    return subject;
  };

  /** The archive of a volume that has one. */
  const archiveOf = (subject: Subject): VolumeArchive =>
    requireFound(store.snapshot().volumeArchiveOf(subject), `a backup of volume "${subject.Name}"`);

  const archived = (subject: Subject): ArchiveSubject => {
    const volume = subject.Csi ? undefined : store.snapshot().hostVolumeById(subject.VolumeID);
    return { ...subject, Volume: volume ? archivedVolume(volume) : null };
  };
  const ensured = (subject: Subject): Promise<VolumeArchive> => archives.ensure(archived(subject));

  const started = async (id: string, begin: (archive: VolumeArchive) => VolumeOperation) => {
    const archive = await archives.update(id, (now) => {
      refuseBusy(now);
      return { Operation: begin(now) };
    });
    const Operation = requireFound(archive?.Operation ?? undefined, 'operation');
    return { Index: store.index, ArchiveID: id, Operation };
  };

  return {
    async 'VolumeData.List'(args, call) {
      return answerQuery(context, args, call, [watchKeys.volumeArchives()], (state) => {
        const shown = [...state.volumeArchives()].filter(
          ({ Namespace, Name, Csi }) =>
            (namespaceOf(args) === '*' || Namespace === namespaceOf(args)) &&
            mayListVolume(context, args, { kind: Csi ? 'csi' : 'host', namespace: Namespace, name: Name }),
        );
        const Archives = shown.map((archive) => archiveStub(archive, state, archivist));
        return { index: state.tableIndex('volume_archives'), reply: { Archives } };
      });
    },

    async 'VolumeData.Get'(args, call) {
      const subject = await subjectOf(args, 'read');
      return answerQuery(context, args, call, [watchKeys.volumeArchives()], (state) => {
        const archive = state.volumeArchiveOf(subject);
        const index = state.tableIndex('volume_archives');
        return { index, reply: { Archive: archive ? archiveView(archive, state, archivist) : null } };
      });
    },

    async 'VolumeData.Backup'(args) {
      const subject = await subjectOf(args, 'snapshot');
      const state = store.snapshot();
      if (!isThere(state, subject)) {
        throw new MeshError('E_NOT_FOUND', `volume "${subject.Name}" was deleted: only its backups are left`);
      }
      if (subject.Csi) requireCsiBackup(state, subject.Name, subject.Csi);
      else requireReady(state.nodeById(subject.NodeID), subject.NodeID);
      const { ID } = await ensured(subject);
      return started(ID, (archive) => newBackup(context, archive, 'manual'));
    },

    async 'VolumeData.SetPlan'(args) {
      const subject = await subjectOf(args, 'snapshot');
      const id = await archives.plan(archived(subject), (before) => checkPlan(args.Plan ?? {}, before));
      return { Index: store.index, ArchiveID: id };
    },

    async 'VolumeData.Restore'(args) {
      const subject = await subjectOf(args, 'create');
      const archive = archiveOf(subject);
      refuseBusy(archive);
      const snapshot = snapshotOf(archive, args.SnapshotID ?? '');
      const isInPlace = (args.As ?? '') === '' && args.Force === true;
      if (isInPlace) await usersToEnd(context, archive.Csi ? csiUsers(archive) : hostUsers(archive));
      const goal = archive.Csi
        ? csiRestoreGoal(store.snapshot(), { archive, how: archive.Csi, snapshot, nowMs: context.now() }, args)
        : restoreGoal(context, archive, snapshot, args);
      const begun = await started(archive.ID, (now) => ({
        ...newOperation(context, now),
        Kind: 'restore',
        Step: 'restore',
        // What lies on a node that is lost is put aside when it comes back: it may have what no backup has.
        Keep: true,
        SnapshotID: snapshot.ID,
        ...goal,
      }));
      return { ...begun, Snapshot: snapshot };
    },

    async 'VolumeData.Move'(args) {
      const subject = await subjectOf(args, 'create');
      await usersToEnd(context, subject.Csi ? csiUsers(subject) : hostUsers(subject));
      const state = store.snapshot();
      if (subject.Csi) {
        const goal = csiMoveGoal(
          state,
          { subject, how: subject.Csi },
          requireText(args.TargetNodeID, 'node to move it to'),
        );
        const { ID } = await ensured(subject);
        return started(ID, (now) => ({
          ...newOperation(context, now),
          Kind: 'move',
          Step: 'backup',
          Keep: args.Keep === true,
          ...goal,
        }));
      }
      if (subject.VolumeID === '') throw ofConfiguration('moved nowhere');
      const volume = requireFound(state.hostVolumeById(subject.VolumeID), `volume "${subject.Name}"`);
      const target = findNode(state, requireText(args.TargetNodeID, 'node to move it to'));
      if (target.ID === volume.NodeID) throw new MeshError('E_BAD_REQUEST', `it is on node ${target.Name} already`);
      const from = state.nodeById(volume.NodeID);
      if (from?.Status !== 'ready') {
        throw new MeshError(
          'E_CONFLICT',
          `node ${from?.Name ?? volume.NodeID.slice(0, 8)}, where it is, is ${from?.Status ?? 'gone'}: restore its newest backup on node ${target.Name}`,
        );
      }
      refuseUsers(state, volume);
      const archive = await ensured(subject);
      const newest = archive.Snapshots.at(-1);
      chooseTarget(state, { archive, snapshot: newest, name: volume.Name, wanted: target, except: '' });
      return started(archive.ID, (now) => ({
        ...newOperation(context, now),
        Kind: 'move',
        Step: 'backup',
        Keep: args.Keep === true,
        TargetNodeID: target.ID,
        TargetVolumeID: volume.ID,
        TargetName: volume.Name,
      }));
    },

    async 'VolumeData.Forget'(args) {
      const subject = await subjectOf(args, 'delete');
      const archive = archiveOf(subject);
      refuseBusy(archive);
      const ids = args.All
        ? null
        : (args.SnapshotIDs ?? []).map((id) => snapshotOf(archive, requireText(id, 'backup ID')).ID);
      await archives.update(archive.ID, (now) => {
        refuseBusy(now);
        const left = withoutSnapshots(now, (id) => ids === null || ids.includes(id));
        return ids === null ? { ...left, Plan: { ...now.Plan, Cron: '' } } : left;
      });
      return { Index: store.index };
    },
  };
}

/** The snapshot that is meant by its id or the beginning of it; '' = the newest. Throws E_NOT_FOUND, E_BAD_REQUEST. */
function snapshotOf({ Snapshots, Name }: VolumeArchive, id: string): VolumeSnapshot {
  const newest = Snapshots.at(-1);
  if (!newest) throw new MeshError('E_NOT_FOUND', `volume "${Name}" has no backup`);
  if (id === '' || id === 'latest') return newest;
  const found = Snapshots.filter(({ ID }) => ID.startsWith(id));
  const [first, second] = found;
  if (!first)
    throw new MeshError('E_NOT_FOUND', `volume "${Name}" has no backup "${id}": see volume backup -list ${Name}`);
  if (second) throw new MeshError('E_BAD_REQUEST', `${found.length} backups begin with "${id}": write more of the id`);
  return first;
}

const ofConfiguration = (what: string): MeshError =>
  new MeshError(
    'E_CONFLICT',
    `a volume of a node's configuration is ${what}: make a new volume of its backup with volume restore -as`,
  );

/** Where a restore leads: into the place of the volume, to another node, or beside it. Throws what is in the way. */
function restoreGoal(
  context: EndpointContext,
  archive: VolumeArchive,
  snapshot: VolumeSnapshot,
  { TargetNodeID = '', As = '', Force }: { TargetNodeID?: string; As?: string; Force?: boolean },
): Pick<VolumeOperation, 'TargetNodeID' | 'TargetVolumeID' | 'TargetName'> {
  const state = context.store.snapshot();
  const wanted = TargetNodeID === '' ? undefined : findNode(state, TargetNodeID);
  const choose = (name: string, except = ''): string =>
    chooseTarget(state, { archive, snapshot, name, wanted: wanted ?? undefined, except }).ID;
  if (As !== '') {
    if (!VOLUME_NAME.test(As)) throw new MeshError('E_BAD_REQUEST', `"${As}" is no name of a volume`);
    return { TargetNodeID: choose(As), TargetVolumeID: randomUuid(context.random), TargetName: As };
  }
  const { VolumeID: TargetVolumeID, Name: TargetName, NodeID } = archive;
  const made = `backup ${snapshot.ID.slice(0, 8)}, made ${ageOf(snapshot, context.now())} ago,`;
  const lost = `what was written to volume "${TargetName}" since ${made} is lost: say so with -force, or restore beside it with -as`;
  const own = state.nodeById(NodeID);
  const isThere = TargetVolumeID === '' || state.hostVolumeById(TargetVolumeID) !== undefined;
  if (!isThere) return { TargetNodeID: choose(TargetName), TargetVolumeID, TargetName };
  if (own?.Status === 'ready') {
    if (wanted && wanted.ID !== NodeID) {
      if (TargetVolumeID === '') throw ofConfiguration('restored on its node only');
      throw new MeshError(
        'E_CONFLICT',
        `volume "${TargetName}" is on node ${own.Name}, which is there: see volume move`,
      );
    }
    refuseUsers(state, archive);
    if (Force !== true) throw new MeshError('E_CONFLICT', lost);
    return { TargetNodeID: NodeID, TargetVolumeID, TargetName };
  }
  if (TargetVolumeID === '') {
    throw ofConfiguration('restored on its node only');
  }
  if (Force !== true) {
    throw new MeshError(
      'E_CONFLICT',
      `node ${own?.Name ?? NodeID.slice(0, 8)} is ${own?.Status ?? 'gone'}. Elsewhere, ${lost}`,
    );
  }
  return { TargetNodeID: choose(TargetName, NodeID), TargetVolumeID, TargetName };
}
