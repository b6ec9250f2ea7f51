// A process that runs a client over raw_exec and a CSI plugin outside, for csi-kill.test.ts to kill. What the servers know
// (the wish and the claims) lies in files, so that it outlives every incarnation. Usage: node csi-agent.js DIR
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '../../lib/client/client.js';
import { defaultClientConfig } from '../../lib/client/config.js';
import { createDrivers } from '../../lib/plugin/registry.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { CsiVolumeSpec } from '../../lib/structs/csi.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { RpcMethods } from '../../lib/structs/rpc.js';
import type { RpcMethod } from '../../lib/transport/rpc.js';
import { createLog, formatLogLine } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeServer } from '../client/fakes.js';

const dir = process.argv[2] as string;

/** What csi-kill.test.ts writes: what is wanted, at which index. */
interface Wish {
  index: number;
  allocs: Allocation[];
  externalId: string;
}

/** Who holds the volume: '' = nobody. And what must never have happened. */
interface Claims {
  holder: string;
  violations: string[];
}

const readWish = (): Wish => JSON.parse(readFileSync(join(dir, 'wish.json'), 'utf8')) as Wish;
const readClaims = (): Claims => JSON.parse(readFileSync(join(dir, 'claims.json'), 'utf8')) as Claims;
function writeClaims(claims: Claims): void {
  writeFileSync(join(dir, 'claims.tmp'), JSON.stringify(claims));
  renameSync(join(dir, 'claims.tmp'), join(dir, 'claims.json'));
}

class CsiServer extends FakeServer {
  override async call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    options: { signal?: AbortSignal } = {},
  ): Promise<RpcMethods[M]['reply']> {
    const { AllocationID } = args as { AllocationID: string };
    if (method === 'CSIVolume.Claim') return this.claim(AllocationID) as RpcMethods[M]['reply'];
    if (method === 'CSIVolume.Unpublish') return this.release(AllocationID) as RpcMethods[M]['reply'];
    return super.call(method, args, options);
  }

  private claim(allocId: string): RpcMethods['CSIVolume.Claim']['reply'] {
    const claims = readClaims();
    if (claims.holder !== '' && claims.holder !== allocId)
      throw new MeshError('E_CONFLICT', `volume "data" is held by ${claims.holder}`);
    writeClaims({ ...claims, holder: allocId });
    const Volume = {
      ID: 'data',
      PluginID: 'local',
      ExternalID: readWish().externalId,
      Secrets: null,
      Context: null,
      MountOptions: null,
    } as unknown as CsiVolumeSpec;
    return { Index: 1, Volume, PublishContext: {}, Fence: 1 };
  }

  private release(allocId: string): RpcMethods['CSIVolume.Unpublish']['reply'] {
    const claims = readClaims();
    if (readFileSync('/proc/self/mountinfo', 'utf8').includes(`/per-alloc/${allocId}/`))
      claims.violations.push(`${allocId} was released while it was mounted`);
    writeClaims({ ...claims, holder: claims.holder === allocId ? '' : claims.holder });
    return { Index: 1 };
  }
}

const log = createLog((record) => process.stderr.write(`${formatLogLine(record, new Date().toISOString())}\n`));
const server = new CsiServer();
const set = createDrivers({
  blocks: {},
  enable: ['raw_exec'],
  stateDir: join(dir, 'drivers'),
  log: (name) => (level, message, fields) => log.child(name)[level](message, fields as Record<string, string>),
});
const driver = await set.get('raw_exec');
if (!driver) throw new Error('no raw_exec');
const client = await createClient({
  rpc: server,
  drivers: { raw_exec: driver },
  config: {
    ...defaultClientConfig({ stateDir: join(dir, 'client'), allocDir: join(dir, 'alloc'), nodeName: 'box' }),
    csiDir: join(dir, 'csi'),
    csiPlugins: { local: { socket: join(dir, 'plugin.sock'), type: 'monolith' } },
  },
  httpAddr: '127.0.0.1:4646',
  version: '0.1.0',
  log,
  now: () => Date.now(),
  random: seededRandom(process.pid),
});
await client.start();
server.index = 0;
setInterval(() => {
  const wish = readWish();
  if (wish.index !== server.index) {
    server.allocs.clear();
    for (const alloc of wish.allocs) server.allocs.set(alloc.ID, { ...alloc, NodeID: client.nodeId });
    server.index = wish.index;
    server.wake();
  }
  const states = wish.allocs.map(({ ID }) => {
    const { ClientStatus = '', TaskStates } = server.reported(ID) ?? {};
    const events = TaskStates?.['web']?.Events.map(({ DisplayMessage }) => DisplayMessage).slice(-4);
    return { ID, status: ClientStatus, events };
  });
  process.stdout.write(`${JSON.stringify(states)}\n`);
}, 20);
