import { getEventListeners, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { foldAnswer, initialCheck, passingSinceMs, serviceHealth } from '../../lib/client/services/check-state.js';
import { probe } from '../../lib/client/services/probe.js';
import {
  isUp,
  ownServices,
  type ServicePlace,
  serviceAddress,
  serviceId,
  serviceTags,
} from '../../lib/client/services/registrations.js';
import type { TaskState } from '../../lib/structs/allocation.js';
import type { Service, ServiceCheck } from '../../lib/structs/service.js';
import { fakeAlloc, fakeGroup, fakeJob, fakeTask } from './fakes.js';

const service = (fields: Partial<Service> = {}): Service =>
  ({
    Name: 'web',
    PortLabel: 'http',
    Provider: 'nomad',
    TaskName: '',
    Tags: ['a'],
    CanaryTags: null,
    ...fields,
  }) as Service;

function placeOf(services: Service[], taskServices: Service[] = []): ServicePlace {
  const group = fakeGroup([fakeTask({ Services: taskServices })], { Services: services });
  const job = fakeJob(group);
  const alloc = fakeAlloc('node', job);
  alloc.AllocatedResources = {
    ...alloc.AllocatedResources,
    Shared: {
      DiskMB: 0,
      Networks: null,
      Ports: [{ Label: 'http', Value: 20_001, To: 80, HostIP: '10.0.0.9', IgnoreCollision: false }],
    },
  };
  const node = { Attributes: { 'unique.network.ip-address': '10.0.0.9' } } as unknown as ServicePlace['node'];
  return { alloc, job, group, node, region: 'global', allocAddress: '', allocAddressV6: '', taskAddress: () => null };
}

t.test('where a service is: by its address_mode, its port and what it says itself', async (t) => {
  const place = placeOf([service()]);
  const owned = { service: service(), task: null };
  const at = (label: string, mode: string, address = '', more: Partial<ServicePlace> = {}) => {
    const found = serviceAddress(owned, { ...place, ...more }, { label, mode, address });
    return found.ok ? `${found.value.address}:${found.value.port}` : found.error;
  };
  t.equal(at('http', 'auto'), '10.0.0.9:20001');
  t.equal(at('http', 'host'), '10.0.0.9:20001');
  t.equal(at('8080', 'auto'), '10.0.0.9:8080');
  t.equal(at('', 'auto'), '10.0.0.9:0');
  t.equal(at('http', 'auto', 'db.example'), 'db.example:20001');
  t.equal(at('http', 'alloc', '', { allocAddress: '172.26.64.2' }), '172.26.64.2:80');
  t.match(at('http', 'alloc'), /needs a network of its own/);
  t.match(at('http', 'driver'), /needs a driver that gives the task an address/);
  const given = (advertise: boolean) => ({ taskAddress: () => ({ ip: '172.20.0.5', advertise }) });
  t.equal(at('http', 'driver', '', given(false)), '172.20.0.5:80');
  t.equal(at('6379', 'driver', '', given(false)), '172.20.0.5:6379');
  t.equal(
    at('http', 'auto', '', given(false)),
    '10.0.0.9:20001',
    "an engine's own bridge is reached from this node only",
  );
  t.equal(at('http', 'auto', '', given(true)), '172.20.0.5:80');
  t.equal(at('http', 'auto', 'db.example', given(true)), 'db.example:20001');
  t.equal(at('http', 'host', '', given(true)), '10.0.0.9:20001');
  t.match(at('other', 'host'), /there is no port "other"/);
});

t.test('a service is up with its task, that of the group with all main tasks', async (t) => {
  const { group } = placeOf([service()], [service({ Name: 'own' })]);
  const [ofGroup, ofTask] = ownServices(group);
  const state = (State: TaskState['State']) => ({ web: { State } as TaskState });
  t.equal(ofGroup?.task, null);
  t.equal(ofTask?.task?.Name, 'web');
  for (const owned of [ofGroup, ofTask]) {
    t.equal(owned && isUp(owned, group, state('running')), true);
    t.equal(owned && isUp(owned, group, state('pending')), false);
    t.equal(owned && isUp(owned, group, state('dead')), false);
  }
  t.equal(ownServices(placeOf([service({ Provider: 'consul' })]).group).length, 1, 'also one of Nomad’s default');
});

t.test('a canary has tags of its own, when there are any', async (t) => {
  const place = placeOf([service()]);
  const canary = { ...place.alloc, DeploymentStatus: { Healthy: null, Timestamp: '', Canary: true, ModifyIndex: 0 } };
  const owned = { service: service({ CanaryTags: ['c'] }), task: null };
  t.same(serviceTags(owned, place), ['a']);
  t.same(serviceTags(owned, { ...place, alloc: canary }), ['c']);
  t.same(serviceTags({ service: service(), task: null }, { ...place, alloc: canary }), ['a']);
  t.equal(serviceId(owned, place, 'web'), `_nomad-task-${place.alloc.ID}-group-group-web-http`);
});

t.test('answers add up: health, failures in a row, grace', async (t) => {
  const fail = { ok: false, code: 500, output: 'no' };
  const pass = { ok: true, code: 200, output: 'yes' };
  let state = initialCheck('', 0);
  t.equal(serviceHealth([state]), 'pending');
  t.equal(passingSinceMs([state]), null);
  state = foldAnswer(state, fail, { nowMs: 500, graceUntilMs: 1_000 });
  t.match(state, { status: 'failure', failures: 0, sinceMs: 500 }, 'in its grace it does not count');
  state = foldAnswer(state, fail, { nowMs: 1_500, graceUntilMs: 1_000 });
  state = foldAnswer(state, fail, { nowMs: 2_500, graceUntilMs: 1_000 });
  t.match(state, { failures: 2, sinceMs: 500, code: 500, output: 'no' });
  t.equal(serviceHealth([state, initialCheck('passing', 0)]), 'failing');
  state = foldAnswer(state, pass, { nowMs: 3_500, graceUntilMs: 1_000 });
  t.match(state, { failures: 0, status: 'success', sinceMs: 3_500 });
  t.equal(passingSinceMs([state, initialCheck('passing', 9)]), 3_500);
  t.equal(serviceHealth([state]), 'passing');
  t.equal(serviceHealth([]), 'passing');
  t.equal(passingSinceMs([]), 0);
});

t.test('a check that is asked for weeks leaves nothing on the signal that will end it', async (t) => {
  const server = createServer((_, answer) => answer.end('well'));
  t.teardown(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const at = { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const { signal } = new AbortController();
  for (const Type of ['tcp', 'http']) {
    const check = { Type, Timeout: 5e9, Path: '/', Method: '', Protocol: '', Header: null, Body: '' };
    for (let i = 0; i < 3; i++) t.match(await probe(check as unknown as ServiceCheck, at, signal), { ok: true });
    t.same(getEventListeners(signal, 'abort'), [], Type);
    t.match(await probe(check as unknown as ServiceCheck, at, AbortSignal.abort()), { ok: false });
  }
});
