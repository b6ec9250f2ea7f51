import t from 'tap';
import type { MeshRole } from '../../lib/structs/mesh.js';
import { mayAsk, maySend } from '../../lib/transport/mesh/access.js';

/** Method → who may ask it. Whoever is not named may not. */
const TABLE: Record<string, string> = {
  'Variables.Read': 'server operator',
  'Variables.Put': 'server operator',
  'Variables.ReadForTask': 'server client',
  'Keyring.Rotate': 'server operator',
  'Keyring.Open': 'server operator',
  'Status.Ping': 'server client operator expired',
  'Status.Leader': 'server client operator',
  'Status.Peers': 'server client operator',
  'Mesh.Roster': 'server client operator',
  'Mesh.Renew': 'server client operator expired',
  'Mesh.Leave': 'server client operator',
  'Mesh.NetReport': 'server client operator',
  'Mesh.Carry': 'server client operator',
  'Mesh.Carried': 'server client operator',
  'Mesh.Redeem': 'server',
  'Mesh.CreateInvite': 'server operator',
  'Mesh.Revoke': 'server operator',
  'Mesh.Approve': 'server operator',
  'Node.Register': 'server client',
  'Node.UpdateStatus': 'server client',
  'Node.UpdateAlloc': 'server client',
  'Node.GetClientAllocs': 'server client',
  'Alloc.GetAllocs': 'server client',
  'Node.Purge': 'server operator',
  'Node.UpdateDrain': 'server operator',
  'Node.DrainSelf': 'server client',
  'Node.OwnDrain': 'server client',
  'Node.List': 'server operator',
  'Job.Register': 'server operator',
  'Job.List': 'server operator',
  'Alloc.GetAlloc': 'server operator',
  'Allocations.Exec': 'server operator',
  'FileSystem.Logs': 'server operator',
  'Operator.SchedulerSetConfiguration': 'server operator',
  'Raft.Snapshot': 'server',
  'Mesh.Http': 'server operator',
  'Mesh.Bury': 'server client operator',
  'CSIVolume.Claim': 'server client',
  'CSIVolume.Unpublish': 'server client',
  'CSIVolume.Create': 'server operator',
  'CSIVolume.Detach': 'server operator',
  'HostVolume.Delete': 'server operator',
  'CSIPlugin.List': 'server operator',
  'ClientCSI.NodeDetach': 'server',
  'ClientCSI.ControllerDelete': 'server',
  'ClientHostVolume.Delete': 'server',
  'Nothing.Known': 'server',
  Job: 'server',
  '.List': 'server',
  '': 'server',
  constructor: 'server',
};

t.test('who may ask what', async (t) => {
  const asked = { expired: false, clientApi: false };
  for (const [method, allowed] of Object.entries(TABLE)) {
    for (const role of ['server', 'client', 'operator'] as const) {
      t.equal(mayAsk(method, { role, ...asked }), allowed.split(' ').includes(role), `${role}: ${method}`);
      const votes = role === 'server' && method.startsWith('Raft.');
      const late = votes || allowed.split(' ').includes('expired');
      t.equal(mayAsk(method, { role, expired: true, clientApi: true }), late, `expired ${role}: ${method}`);
    }
  }
});

t.test(
  'a server that answers the API of clients answers them what it answers people, but for who is in the mesh',
  async (t) => {
    const admission =
      /^(Variables\.(List|Read|Put|Delete)$|Keyring\.(Rotate|Open|Delete)|Mesh\.(Http|CreateInvite|ListInvites|RevokeInvite|Approve|Revoke|Rotate|ExportRecovery|Reissue)|Operator\.(Snapshot|Recover$|RaftRemove|Transfer|AutopilotSet).*)$/;
    for (const [method, allowed] of Object.entries(TABLE)) {
      const expected = /client|operator/.test(allowed) && !admission.test(method);
      t.equal(mayAsk(method, { role: 'client', expired: false, clientApi: true }), expected, method);
    }
  },
);

t.test('a role that does not exist may ask nothing', async (t) => {
  t.notOk(mayAsk('Status.Ping', { role: 'admin' as MeshRole, expired: false, clientApi: true }));
});

t.test('only servers speak raft; everybody gossips', async (t) => {
  t.same(
    (['server', 'client', 'operator'] as const).map((role) => [maySend('raft', role), maySend('gossip', role)]),
    [
      [true, true],
      [false, true],
      [false, true],
    ],
  );
});
