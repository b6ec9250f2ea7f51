import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { defaultClientConfig } from '../../lib/client/config.js';
import { HostVolumes } from '../../lib/client/host-volumes/host-volumes.js';
import { VolumeData } from '../../lib/client/volume-data/volume-data.js';
import type { VolumeOrder, VolumeWork } from '../../lib/structs/rpc-volume-data.js';
import type { WrittenSnapshot } from '../../lib/structs/volume-data.js';
import { coreToken } from '../../lib/transport/core-token.js';
import { messagePair } from '../../lib/transport/local.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeTimers } from './fakes.js';

export const CONTEXT = { signal: new AbortController().signal };
export const KEY = randomBytes(32).toString('base64');
export const OP = (digit: number): string => `00000000-0000-0000-0000-00000000000${digit}`;

type Done = Extract<VolumeWork, { State: 'done' }>;
/** An order of the archive that all of these tests have. */
type Asked = VolumeOrder extends infer O
  ? O extends unknown
    ? Omit<O, 'ID' | 'ArchiveID'> & { ID?: string }
    : never
  : never;

/** Nodes that reach each other. */
export class Nodes {
  readonly dir = mkdtempSync(join(tmpdir(), 'volume-data-'));
  readonly all = new Map<string, FakeNode>();
  orders = 0;
  /** So many requests from now on are heard by nobody. */
  unheard = 0;

  constructor(t: Test) {
    t.teardown(async () => {
      for (const node of this.all.values()) await node.data.close();
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  async start(name: string): Promise<FakeNode> {
    const node = new FakeNode(this, name);
    this.all.set(name, node);
    await node.volumes.open();
    await node.data.open();
    return node;
  }
}

export class FakeNode {
  readonly used = new Set<string>();
  readonly volumes: HostVolumes;
  readonly data: VolumeData;
  readonly secretId: string;
  readonly dir: string;
  readonly nodes: Nodes;

  constructor(nodes: Nodes, name: string) {
    this.nodes = nodes;
    this.dir = join(nodes.dir, name);
    this.secretId = `secret-${name}`;
    const config = {
      ...defaultClientConfig({ stateDir: join(this.dir, 'client'), allocDir: join(this.dir, 'alloc'), nodeName: name }),
      hostVolumesDir: join(this.dir, 'volumes'),
      hostVolumePluginDir: join(this.dir, 'plugins'),
    };
    this.volumes = new HostVolumes({
      config: () => config,
      timers: new FakeTimers(),
      random: seededRandom(1),
      log: silentLog,
      isUsed: (path) => this.used.has(path),
      onChange: () => {},
    });
    const rpc = {
      stream: (_: string, args: { NodeID: string }) => {
        const [near, far] = messagePair();
        far.on('error', () => {});
        if (nodes.unheard-- > 0) return near;
        const target = nodes.all.get(args.NodeID);
        target?.data.streamHandlers()['VolumeData.Replicate']?.(args as never, far, CONTEXT);
        return near;
      },
    } as unknown as RpcCaller;
    this.data = new VolumeData({
      folder: join(this.dir, 'archives'),
      volumes: this.volumes,
      mounts: null as never,
      rpc,
      nodeId: name,
      secretId: this.secretId,
      now: () => Date.now(),
      log: silentLog,
    });
  }

  async create(name: string): Promise<string> {
    const made = await this.volumes.handlers()['ClientHostVolume.Create']?.(
      {
        ID: OP(1),
        Name: name,
        Namespace: 'default',
        PluginID: 'mkdir',
        NodeID: 'n',
        NodePool: 'default',
        RequestedCapacityMinBytes: 0,
        RequestedCapacityMaxBytes: 0,
        Parameters: null,
      },
      CONTEXT,
    );
    return made?.HostPath ?? '';
  }

  async ask(order: Asked): Promise<Exclude<VolumeWork, { State: 'running' }>> {
    const Order = { ID: `order-${this.nodes.orders++}`, ArchiveID: 'archive', ...order } as VolumeOrder;
    for (;;) {
      const work = (await this.data
        .handlers()
        ['ClientVolumeData.Work']?.({ NodeID: 'n', Order }, CONTEXT)) as VolumeWork;
      if (work.State !== 'running') return work;
      await sleep(5);
    }
  }

  async done(order: Asked): Promise<Done> {
    const work = await this.ask(order);
    if (work.State === 'failed') throw new Error(work.Message);
    return work;
  }

  async backUp(Previous: WrittenSnapshot | null = null): Promise<WrittenSnapshot> {
    const { Snapshot } = await this.done({ Kind: 'backup', Key: KEY, Name: 'db', Previous });
    return Snapshot as WrittenSnapshot;
  }

  /** The right to copy from this node. */
  holder(Core: string, asker: string) {
    return { NodeID: this.dir.split('/').at(-1) as string, Token: coreToken(this.secretId, Core, asker) };
  }

  volume(over: object = {}) {
    const sizes = { CapacityMinBytes: 0, CapacityMaxBytes: 0 };
    const names = { ID: OP(1), Name: 'db', Namespace: 'default', PluginID: 'mkdir', NodePool: '', Parameters: null };
    return { ...names, ...sizes, Replaces: false, ...over };
  }
}

/** Everything about a tree that a backup keeps. */
export function treeOf(dir: string, below = ''): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const name of readdirSync(join(dir, below), { encoding: 'latin1' }).sort()) {
    const path = Buffer.from(join(dir, below, name), 'latin1');
    const info = lstatSync(path);
    const rest = { mode: info.mode, uid: info.uid, gid: info.gid, mtime: microsOf(path), links: info.nlink };
    const key = join(below, name);
    if (info.isDirectory()) Object.assign(tree, { [key]: { ...rest, links: 0 } }, treeOf(dir, key));
    else if (info.isSymbolicLink()) tree[key] = { ...rest, target: readlinkSync(path) };
    else tree[key] = { ...rest, content: readFileSync(path).toString('base64') };
  }
  return tree;
}

export function fill(dir: string): void {
  mkdirSync(join(dir, 'sub', 'deep'), { recursive: true });
  writeFileSync(join(dir, 'big'), randomBytes(3_000_000));
  writeFileSync(join(dir, 'empty'), '');
  writeFileSync(join(dir, 'sub', 'deep', 'set-id'), '#!/bin/sh\n');
  if (process.getuid?.() === 0) chownSync(join(dir, 'sub', 'deep', 'set-id'), 1234, 4321);
  chmodSync(join(dir, 'sub', 'deep', 'set-id'), 0o4755);
  linkSync(join(dir, 'sub', 'deep', 'set-id'), join(dir, 'twin'));
  symlinkSync('../../etc/passwd', join(dir, 'sub', 'out'));
  writeFileSync(join(dir, 'sparse'), 'begin');
  truncateSync(join(dir, 'sparse'), 40_000_000);
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/caf`), Buffer.of(0xe9)]), 'no UTF-8');
  utimesSync(join(dir, 'sub', 'deep'), 1_600_000_000, 1_600_000_000);
  chmodSync(join(dir, 'sub'), 0o511);
  utimesSync(join(dir, 'sub'), 1_500_000_000, 1_500_000_000);
}

/** What Node can set of a time. */
const microsOf = (path: Buffer): string => String(lstatSync(path, { bigint: true }).mtimeNs / 1_000n);
