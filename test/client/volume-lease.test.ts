import t from 'tap';
import { VolumeLease } from '../../lib/client/volume-lease.js';
import { NodeLeases } from '../../lib/server/node-leases.js';
import { VOLUME_LEASE } from '../../lib/structs/rpc-volume.js';

const { stopAfterMs, passOnAfterMs } = VOLUME_LEASE;

t.test('a lease stands from the sending of the heartbeat on, not from its answer', async (t) => {
  const lease = new VolumeLease();
  t.ok(lease.stopsMs() < 0, 'without a renewal there is none');
  lease.renewed(1_000, 9_000);
  t.equal(lease.stopsMs(), 1_000 + stopAfterMs);
  lease.renewed(500, 9_500);
  t.equal(lease.stopsMs(), 1_000 + stopAfterMs, 'an answer that was overtaken says nothing');
});

t.test('a grant is good only while the lease has stood since it was asked for', async (t) => {
  const lease = new VolumeLease();
  lease.renewed(1_000, 1_000);
  lease.renewed(20_000, 20_000);
  t.ok(lease.covers(5_000, 25_000));
  t.notOk(lease.covers(5_000, 20_000 + stopAfterMs), 'it has run out');
  lease.renewed(100_000, 100_500);
  t.notOk(lease.covers(5_000, 101_000), 'it stands again, but did not in between');
  t.ok(lease.covers(100_000, 101_000));
});

t.test('what a restarted agent remembers counts', async (t) => {
  t.equal(new VolumeLease(7_000).stopsMs(), 7_000 + stopAfterMs);
  t.ok(new VolumeLease(7_000).covers(8_000, 9_000));
});

t.test('a leader passes nothing on before a node has stopped, whatever it was told', async (t) => {
  const leases = new NodeLeases();
  leases.begin(50_000);
  t.equal(leases.endsMs('n1'), 50_000 + passOnAfterMs, 'of one it never heard: from its own beginning');
  leases.renewed('n1', 60_000);
  leases.renewed('n1', 55_000);
  t.equal(leases.endsMs('n1'), 60_000 + passOnAfterMs);
  t.ok(passOnAfterMs >= stopAfterMs + 30_000 + 10_000, 'kill_timeout, and a little');
  leases.begin(70_000);
  t.equal(leases.endsMs('n1'), 70_000 + passOnAfterMs);
});
