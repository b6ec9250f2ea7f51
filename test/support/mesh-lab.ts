import type { Test } from 'tap';
import { eventually, jobJson, MESHNOMAD } from './mesh-agent.js';
import { Machine, type MachineOptions } from './mesh-machines.js';
import { Netlab } from './netlab.js';
import type { Testnet } from './testnet.js';

export interface Alloc {
  ID: string;
  NodeID: string;
  NodeName: string;
  ClientStatus: string;
}

/** The bootstrap node of a DHT at a public address of the lab, as a person runs it; ends with the lab. */
export async function openDht(lab: Netlab): Promise<Pick<Testnet, 'bootstrap'>> {
  const host = Netlab.publicAddress(1);
  const dht = lab.spawn('pub', process.execPath, [MESHNOMAD, 'dht', '-host', host]);
  let said = '';
  dht.stdout?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await eventually('the bootstrap node', () => said.includes('bootstrap =') || undefined);
  return { bootstrap: [{ host, port: 49_737 }] };
}

/** A machine that stands on a host of the lab. */
export async function machineAt(
  t: Test,
  lab: Netlab,
  host: string,
  options: Partial<MachineOptions> & Pick<MachineOptions, 'testnet'>,
): Promise<Machine> {
  const place: MachineOptions['place'] = (file, args, how) => lab.spawn(host, file, args, how);
  const machine = await Machine.make({ name: host.toLowerCase(), ...options, place });
  t.teardown(() => machine.dispose());
  return machine;
}

const HELLO = 'echo hello from $NOMAD_ALLOC_NAME; exec sleep 3600';

/** Runs a job (`far`, which says hello and sleeps) on one machine, and gives its allocation once it runs there. */
export async function runOn(
  server: Machine,
  node: string,
  { id = 'far', script = HELLO, disk }: { id?: string; script?: string; disk?: object } = {},
): Promise<Alloc> {
  const Constraints = [{ LTarget: '${node.unique.name}', RTarget: node, Operand: '=' }];
  await server.register(
    jobJson(id, {
      config: { command: '/bin/sh', args: ['-c', script] },
      task: { Env: { AT: node } },
      group: { Constraints, ...(disk && { EphemeralDisk: disk }) },
    }),
  );
  return eventually('the job to run', async () => {
    const allocs = await server.get<Alloc[]>(`/v1/job/${id}/allocations`);
    return allocs.find((alloc) => alloc.ClientStatus === 'running' && alloc.NodeName === node);
  });
}

/** How long it takes until a question to the node of an allocation is answered over the mesh. */
export async function reached(server: Machine, alloc: Alloc): Promise<number> {
  const began = performance.now();
  await eventually('the node to be reached', async () => {
    const { status } = await server.fetch(`/v1/client/fs/ls/${alloc.ID}?path=/`);
    return status === 200 || undefined;
  });
  return Math.round(performance.now() - began);
}

/** The job of `runOn` is there: its log is read, and a command runs in it, from the server over the mesh. */
export async function checkWork(t: Test, server: Machine, alloc: Alloc): Promise<void> {
  await eventually('the log', async () => {
    const { out } = await server.cli(['alloc', 'logs', alloc.ID]);
    return out === 'hello from far.g[0]\n' ? true : undefined;
  });
  const exec = await server.cli(['alloc', 'exec', '-i=false', alloc.ID, '/bin/sh', '-c', 'echo in; exit 5']);
  t.same([exec.code, exec.out], [5, 'in\n']);
}
