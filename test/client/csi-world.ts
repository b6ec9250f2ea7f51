import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ALLOC_HOOKS } from '../../lib/client/alloc-hooks/index.js';
import { type Client, createClient } from '../../lib/client/client.js';
import { type ClientConfig, defaultClientConfig } from '../../lib/client/config.js';
import { systemTimers } from '../../lib/client/timers.js';
import { CsiError } from '../../lib/plugin/sdk/csi.js';
import { identityHandlers } from '../../lib/plugin/sdk/csi-plugin.js';
import { type CsiHandlers, serveCsi } from '../../lib/plugin/sdk/csi-server.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { MeshError } from '../../lib/structs/errors.js';
import type { TaskGroup } from '../../lib/structs/job.js';
import type { RpcMethods } from '../../lib/structs/rpc.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import type { RpcMethod } from '../../lib/transport/rpc.js';
import { createLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import {
  FAKE_FINGERPRINTS,
  FakeDriver,
  FakeEngine,
  FakeServer,
  fakeAlloc,
  fakeGroup,
  fakeJob,
  fakeTask,
} from './fakes.js';

// A client with its drivers faked, servers that know one CSI volume, and a plugin that does and says what a test wants.

/** Servers that know one volume. */
export class VolumeServer extends FakeServer {
  readonly released: string[] = [];
  refusal: MeshError | null = null;

  override async call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    options: { signal?: AbortSignal } = {},
  ): Promise<RpcMethods[M]['reply']> {
    if (method === 'CSIVolume.Claim') {
      if (this.refusal) throw this.refusal;
      const Volume = {
        ID: 'data',
        PluginID: 'p',
        ExternalID: 'ext-1',
        Secrets: { key: 'hunter2' },
        Context: { a: 'b' },
      };
      return { Index: 1, Volume, PublishContext: { dev: 'sdx' }, Fence: 7 } as unknown as RpcMethods[M]['reply'];
    }
    if (method === 'CSIVolume.Unpublish') {
      this.released.push((args as { AllocationID: string }).AllocationID);
      return { Index: 1 } as RpcMethods[M]['reply'];
    }
    return super.call(method, args, options);
  }
}

/** A plugin whose volumes are directories that it makes at their targets. */
export class FakePlugin {
  readonly calls: string[] = [];
  readonly handlers: CsiHandlers = {
    ...identityHandlers('fake.csi', { version: '1', roles: { controller: true, node: true } }, NOTHING),
    'Controller.ControllerGetCapabilities': async () => ({ capabilities: [{ rpc: { type: 'CREATE_DELETE_VOLUME' } }] }),
    'Controller.CreateVolume': async ({ name, secrets }) => {
      if (name === 'echo') throw new CsiError('INVALID_ARGUMENT', `wrong password ${secrets['key']} for echo`);
      if (name === 'slow') return new Promise(() => {});
      if (name === 'full') throw new CsiError('OUT_OF_RANGE', 'no room');
      return {
        volume: {
          volumeId: `id-${name}`,
          capacityBytes: 5,
          volumeContext: {},
          contentSource: null,
          accessibleTopology: [],
        },
      };
    },
    'Controller.DeleteVolume': async () => {
      throw new CsiError('NOT_FOUND', 'gone');
    },
    'Controller.ControllerPublishVolume': async ({ volumeCapability }) => ({
      publishContext: { mode: volumeCapability?.accessMode?.mode ?? '' },
    }),
    'Node.NodeGetInfo': async () => ({
      nodeId: 'n1',
      maxVolumesPerNode: 3,
      accessibleTopology: { segments: { z: 'a' } },
    }),
    'Node.NodeGetCapabilities': async () => ({ capabilities: [{ rpc: { type: 'STAGE_UNSTAGE_VOLUME' } }] }),
    'Node.NodeStageVolume': async (request) => {
      this.calls.push(`stage ${request.volumeId} ${request.secrets['key']} ${request.publishContext['dev']}`);
      if (!existsSync(request.stagingTargetPath)) throw new CsiError('INTERNAL', 'no staging directory');
      return {};
    },
    'Node.NodePublishVolume': async ({ targetPath, readonly, volumeCapability }) => {
      this.calls.push(`publish ${readonly ? 'ro' : 'rw'} ${volumeCapability?.accessMode?.mode}`);
      mkdirSync(targetPath, { recursive: true });
      return {};
    },
    'Node.NodeUnpublishVolume': async ({ targetPath }) => {
      this.calls.push('unpublish');
      rmSync(targetPath, { recursive: true, force: true });
      return {};
    },
    'Node.NodeUnstageVolume': async () => {
      this.calls.push('unstage');
      return {};
    },
  };
}
const NOTHING = { topology: false, expansion: null };

/** As a server asks the client. */
export function ask<M extends RpcMethod>(
  client: Client,
  method: M,
  args: RpcMethods[M]['args'],
): Promise<RpcMethods[M]['reply']> {
  const handler = client.handlers[method];
  if (!handler) throw new Error(`${method} is not answered`);
  return handler(args, { signal: new AbortController().signal });
}

export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'cc-'));
  readonly engine = new FakeEngine();
  readonly server = new VolumeServer();
  readonly plugin = new FakePlugin();
  readonly socket = join(this.dir, 'p.sock');

  /** How many times faster the client's pauses pass. */
  hurry = 1;

  constructor(t: Test) {
    t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  async serve(t: Test, path = this.socket): Promise<void> {
    const { handlers } = this.plugin;
    const server = await serveCsi({ endpoint: `unix://${path}`, handlers, onFailure: () => {} });
    t.teardown(() => server.close());
  }

  async client(t: Test, config: Partial<ClientConfig> = {}): Promise<Client> {
    const dirs = { stateDir: join(this.dir, 'client'), allocDir: join(this.dir, 'alloc') };
    const timers = systemTimers(() => Date.now());
    const client = await createClient({
      rpc: this.server,
      drivers: { fake: new FakeDriver(this.engine) },
      config: {
        ...defaultClientConfig({ ...dirs, nodeName: 'box' }),
        csiDir: join(this.dir, 'csi'),
        csiPlugins: { p: { socket: this.socket, type: 'monolith' } },
        ...config,
      },
      httpAddr: '127.0.0.1:4646',
      version: '0.1.0',
      log: createLog(() => {}),
      now: () => Date.now(),
      random: seededRandom(1),
      timers: { ...timers, after: (ms, fn) => timers.after(ms / this.hurry, fn) },
      fingerprints: FAKE_FINGERPRINTS,
      allocHooks: ALLOC_HOOKS.filter(({ name }) => name !== 'network'),
    });
    t.teardown(() => client.shutdown());
    await client.start();
    return client;
  }

  status(id: string): string | undefined {
    return this.server.reported(id)?.ClientStatus;
  }

  events(id: string): string {
    const events = this.server.reported(id)?.TaskStates?.['web']?.Events ?? [];
    return events.map(({ DisplayMessage }) => DisplayMessage).join('\n');
  }

  /** An allocation with the volume; with an `Update` it is part of a deployment. */
  put(client: Client, fields: Partial<VolumeRequest> = {}, Update?: TaskGroup['Update']): Allocation {
    const mount = { Volume: 'v', Destination: '/data', ReadOnly: false, PropagationMode: 'private', SELinuxLabel: '' };
    const request: VolumeRequest = {
      Name: 'v',
      Type: 'csi',
      Source: 'data',
      ReadOnly: false,
      Sticky: false,
      AccessMode: 'single-node-writer',
      AttachmentMode: 'file-system',
      MountOptions: null,
      PerAlloc: false,
      ...fields,
    };
    const group = fakeGroup([fakeTask({ VolumeMounts: [mount] })], {
      Volumes: { v: request },
      ...(Update ? { Update } : {}),
    });
    return this.server.put(fakeAlloc(client.nodeId, fakeJob(group), Update ? { DeploymentID: 'd' } : {}));
  }
}
