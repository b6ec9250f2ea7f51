import fc from 'fast-check';
import t from 'tap';
import { devicesProblem, topologyProblem } from '../../lib/structs/validate/hardware.js';

const group = {
  Vendor: 'nvidia',
  Type: 'gpu',
  Name: 'A/B',
  Instances: [{ ID: 'g0', Healthy: true, HealthDescription: '', Locality: { PciBusID: '0000:01:00.0' } }],
  Attributes: { memory: { Int: 8000, Unit: 'MiB' }, ecc: { Bool: true }, name: { String: 'x' } },
};
const [instance] = group.Instances;

t.test('which devices of a node can be used', async (t) => {
  t.equal(devicesProblem(null), null);
  t.equal(devicesProblem([group, { ...group, Name: 'C', Attributes: null }]), null);
  for (const [devices, message] of [
    ['gpu', /no list/],
    [[null], /no object/],
    [[{ ...group, Vendor: '' }], /no vendor or type/],
    [[{ ...group, Type: 'g/pu' }], /one with a "\/"/],
    [[{ ...group, Name: 5 }], /has no name/],
    [[group, group], /nvidia\/gpu\/A\/B is there twice/],
    [[{ ...group, Instances: null }], /instances are no list/],
    [[{ ...group, Instances: [{}] }], /an instance has no id/],
    [[{ ...group, Instances: [instance, instance] }], /instance g0 is there twice/],
    [[{ ...group, Instances: [{ ...instance, Healthy: 'yes' }] }], /g0 is not readable/],
    [[{ ...group, Instances: [{ ...instance, Locality: 'slot 1' }] }], /g0 is not readable/],
    [[{ ...group, Attributes: { memory: 8000 } }], /attribute memory is none/],
    [[{ ...group, Attributes: { memory: { Int: '8000' } } }], /attribute memory is not readable/],
    [[{ ...group, Attributes: { x: { String: 'x'.repeat(2000) } } }], /attribute x is not readable/],
    [Array.from({ length: 300 }, (_, i) => ({ ...group, Name: `n${i}` })), /more than 256 kinds/],
  ] as const) {
    t.match(devicesProblem(devices), message);
  }
});

t.test('which topologies can be used', async (t) => {
  const good = {
    Nodes: [0, 1],
    Distances: [
      [10, 20],
      [20, 10],
    ],
    Cores: [{ ID: 0, NodeID: 1 }],
    BusAssociativity: { a: 1 },
  };
  t.equal(topologyProblem(undefined), null);
  t.equal(topologyProblem({ Topology: null }), null);
  t.equal(topologyProblem({ Topology: good }), null);
  for (const [topology, message] of [
    [5, /none/],
    [{ ...good, Nodes: '0' }, /no list of numbers/],
    [{ ...good, Distances: [[10]] }, /no table/],
    [
      {
        ...good,
        Distances: [
          [10, 'x'],
          [1, 2],
        ],
      },
      /no table/,
    ],
    [{ ...good, Cores: {} }, /no list/],
    [{ ...good, Cores: [{ ID: -1, NodeID: 0 }] }, /core is not readable/],
    [{ ...good, BusAssociativity: { a: 'left' } }, /no numbers/],
  ] as const) {
    t.match(topologyProblem({ Topology: topology }), message);
  }
});

t.test('nothing makes the checks throw', async (t) => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      devicesProblem(value);
      devicesProblem([value]);
      devicesProblem([{ ...group, Instances: [value], Attributes: value }]);
      topologyProblem(value);
      topologyProblem({ Topology: value });
    }),
  );
  t.pass();
});
