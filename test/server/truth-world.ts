import type { Job, JobType, TaskGroup } from '../../lib/structs/job.js';
import type { Node, NodeDeviceResource } from '../../lib/structs/node.js';
import type { Port } from '../../lib/structs/resources.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import { type Random, randomInt } from '../../lib/util/random.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from '../scheduler/mock.js';
import { csiInfo, nodeInfo } from './volume-world.js';

// Small machines and jobs that want everything at once, drawn so that things run short: ports, cores, cards, volumes, racks.

export const VOLUMES = ['alone', 'shared', 'zoned'];
const S = 1e9;

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[randomInt(random, from.length)] as T;
}

/** What a node is like, for a machine of a number. */
export function randomNode(random: Random, index: number): Partial<Node> {
  const node = mockNode(index);
  const address = (Alias: string, ip: string) => ({
    ...{ Family: 'ipv4' as const, Alias, Address: ip, Gateway: '' },
    ReservedPorts: random.next() < 0.2 ? '8080,20000' : '',
  });
  const addresses = [address('default', `10.0.0.${index}`)];
  if (random.next() < 0.5) addresses.push(address('vpn', `10.8.0.${index}`));
  if (random.next() < 0.2) addresses.push(address('default', `10.1.0.${index}`));
  const device = (Vendor: string, Type: string, Name: string): NodeDeviceResource => ({
    ...{ Vendor, Type, Name, Attributes: {} },
    Instances: Array.from({ length: 1 + randomInt(random, 3) }, (_, i) => ({
      ...{ ID: `${Name}-${index}-${i}`, Healthy: random.next() < 0.8, HealthDescription: '', Locality: null },
    })),
  });
  const Devices = [
    ...(random.next() < 0.5 ? [device('nvidia', 'gpu', '1080')] : []),
    ...(random.next() < 0.2 ? [device('amd', 'gpu', 'mi')] : []),
    ...(random.next() < 0.3 ? [device('xil', 'fpga', 'u50')] : []),
  ];
  const zone = pick(random, ['a', 'b']);
  const info = { ...nodeInfo(`ext-${index}`), AccessibleTopology: { Segments: { zone } } };
  const path = (ReadOnly: boolean) => ({ Name: 'data', Path: '/data', ReadOnly, ID: '' });
  return {
    Datacenter: pick(random, ['dc1', 'dc2', 'edge']),
    NodePool: random.next() < 0.2 ? 'gpu' : 'default',
    Attributes: {
      ...node.Attributes,
      ...(random.next() < 0.9 && { rack: `r${randomInt(random, 3)}` }),
      version: `${1 + randomInt(random, 3)}.2.0`,
      tags: pick(random, ['ssd', 'ssd,fast', '']),
    },
    NodeResources: {
      ...node.NodeResources,
      Cpu: {
        CpuShares: pick(random, [2000, 4000]),
        TotalCpuCores: 4,
        ReservableCpuCores: pick(random, [
          [0, 1, 2, 3],
          [1, 3],
        ]),
      },
      Memory: { MemoryMB: pick(random, [1000, 2000]) },
      Disk: { DiskMB: pick(random, [1500, 5000]) },
      NodeNetworks: [{ Mode: 'host', Device: 'eth0', MacAddress: '', Speed: 1000, Addresses: addresses }],
      Devices,
      MinDynamicPort: 20_000,
      MaxDynamicPort: 20_000 + randomInt(random, 4),
    },
    ReservedResources: {
      Cpu: { CpuShares: pick(random, [0, 300]) },
      Memory: { MemoryMB: pick(random, [0, 100]) },
      Disk: { DiskMB: 0 },
      Networks: { ReservedHostPorts: pick(random, ['', '80', '20001-20002']) },
    },
    HostVolumes: pick(random, [null, { data: path(false) }, { data: path(true) }]),
    CSINodePlugins:
      index === 1 || random.next() < 0.6 ? { nfs: csiInfo({ Healthy: random.next() < 0.8, NodeInfo: info }) } : null,
  };
}

/** A job that wants some of it. */
export function randomJob(random: Random, ID: string, types: readonly JobType[]): Job {
  const Type = pick(random, types);
  const constraint = (LTarget: string, Operand: string, RTarget: string) => ({ LTarget, Operand, RTarget });
  const some = [
    constraint('${attr.rack}', '!=', 'r0'),
    constraint('${attr.rack}', 'is_set', ''),
    constraint('${attr.tags}', 'set_contains', 'ssd'),
    constraint('${attr.version}', 'version', '>= 2'),
    constraint('${node.datacenter}', '=', 'dc1'),
  ];
  const distinct = [
    constraint('', 'distinct_hosts', 'true'),
    constraint('${attr.rack}', 'distinct_property', ''),
    constraint('${attr.rack}', 'distinct_property', '2'),
  ];
  const some3 = () => (random.next() < 0.4 ? [pick(random, some)] : []);
  const apart = () => (Type !== 'system' && random.next() < 0.3 ? [pick(random, distinct)] : []);
  const groups = Array.from({ length: random.next() < 0.25 ? 2 : 1 }, (_, i) => ({
    ...randomGroup(random, `g${i}`, Type),
    Constraints: [...some3(), ...apart()],
  }));
  const affinity = { LTarget: '${attr.rack}', Operand: '=', RTarget: 'r1', Weight: 50 };
  const spread = { Attribute: '${node.datacenter}', Weight: 50, SpreadTarget: null };
  return mockJob({
    ...{ ID, Name: ID, Type, Priority: 10 + 10 * randomInt(random, 8) },
    Datacenters: pick(random, [['*'], ['*'], ['dc*'], ['dc1', 'edge']]),
    NodePool: pick(random, ['default', 'default', 'all', 'gpu']),
    Constraints: [...some3(), ...apart()],
    Affinities: Type !== 'system' && random.next() < 0.3 ? [affinity] : null,
    Spreads: Type !== 'system' && random.next() < 0.3 ? [spread] : null,
    TaskGroups: groups,
  });
}

function randomGroup(random: Random, Name: string, Type: JobType): TaskGroup {
  const port = (Label: string, Value: number): Port => ({
    ...{ Label, Value, To: 0, IgnoreCollision: false },
    HostNetwork: pick(random, ['default', 'default', 'vpn']),
  });
  const network = {
    ...{ Mode: '', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null },
    ReservedPorts: random.next() < 0.4 ? [port('fixed', pick(random, [80, 8080, 20_000]))] : null,
    DynamicPorts: Array.from({ length: randomInt(random, 3) }, (_, i) => port(`any${i}`, 0)),
  };
  const volume: VolumeRequest = {
    ...{
      Name: 'v',
      Type: 'host',
      Source: 'data',
      Sticky: false,
      AttachmentMode: '',
      MountOptions: null,
      PerAlloc: false,
    },
    ReadOnly: random.next() < 0.5,
    AccessMode: pick(random, ['', 'single-node-single-writer']) as VolumeRequest['AccessMode'],
  };
  // What a node lacks that one of many has is no reason for a system job to wait there.
  const source = Type === 'system' ? 'shared' : pick(random, VOLUMES);
  const csi = {
    ...volume,
    ...{ Type: 'csi', Source: source, ReadOnly: false, AttachmentMode: 'file-system' },
    AccessMode: source === 'shared' ? 'multi-node-multi-writer' : 'single-node-writer',
  } as VolumeRequest;
  const Cores = random.next() < 0.2 ? 1 + randomInt(random, 2) : 0;
  const device = pick(random, ['gpu', 'nvidia/gpu', 'xil/fpga/u50']);
  return mockGroup({
    Name,
    Count: Type === 'system' ? 1 : 1 + randomInt(random, 4),
    Networks: random.next() < 0.6 ? [network] : null,
    Volumes: random.next() < 0.2 ? { v: volume } : random.next() < 0.2 ? { v: csi } : null,
    EphemeralDisk: { Sticky: random.next() < 0.2, SizeMB: pick(random, [120, 600]), Migrate: false },
    Migrate:
      Type === 'service'
        ? {
            MaxParallel: 1 + randomInt(random, 2),
            HealthCheck: 'task_states',
            MinHealthyTime: 0,
            HealthyDeadline: 60 * S,
          }
        : null,
    ReschedulePolicy:
      Type === 'system'
        ? null
        : { Attempts: 0, Interval: 0, Delay: 5 * S, DelayFunction: 'constant', MaxDelay: 0, Unlimited: true },
    Tasks: [
      mockTask({
        Resources: mockResources({
          CPU: Cores > 0 ? 0 : 100 + randomInt(random, 900),
          MemoryMB: 50 + randomInt(random, 500),
          Cores,
          Devices:
            random.next() < 0.25
              ? [{ Name: device, Count: 1 + randomInt(random, 2), Constraints: null, Affinities: null }]
              : null,
        }),
      }),
    ],
  });
}
