import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import { findSupervisor } from '../driver-raw-exec/binary.js';
import { type EnginePlace, engineError, statusOf } from './engine.js';
import { ALLOC_LABEL, NETWORK_LABEL, OWNER_LABEL } from './labels.js';

// A container cannot join a namespace that it did not get from the engine. So a group's network belongs to a container of
// its own, which does nothing, and which the group's other containers share it with.

/** In a network's labels: whose network it is, for `--network=container:ID`. */
const HOLDER_LABEL = 'docker_sandbox_container_id';

/** What the engine is to be asked by, and for whom. */
export interface NetworkHost {
  engine: Docker;
  place: EnginePlace;
  stateDir: string;
  /** Brings the image the agent's config names; '' when it names none: then one is made of a program of our own. */
  infraImage: () => Promise<string>;
  labels: Record<string, string>;
}

/** The engine's name for the network that a group's containers share; undefined when no container of ours holds it. */
export function sharedNetwork(labels: Readonly<Record<string, string>>): string | undefined {
  const holder = labels[HOLDER_LABEL];
  return holder === undefined ? undefined : `container:${holder}`;
}

/** Makes sure that the container which holds an allocation's network runs, and tells where the namespace is. Idempotent. */
export async function ensureNetwork(
  host: NetworkHost,
  allocId: string,
  hostname: string,
): Promise<{ netnsPath: string; labels: Record<string, string> }> {
  const container = host.engine.getContainer(holderName(allocId));
  try {
    if ((await isRunning(container)) === undefined) await create(host, allocId, hostname);
    if (!(await isRunning(container))) await container.start();
    const { Id, NetworkSettings, State } = await container.inspect();
    const kept = (NetworkSettings as { SandboxKey?: string }).SandboxKey ?? '';
    // Podman keeps no file for a namespace without interfaces, and what the engine has mounted others may unmount.
    const isKept = kept !== '' && (await isNamespace(kept));
    const netnsPath = isKept || !(State.Pid > 1) ? kept : `/proc/${State.Pid}/ns/net`;
    if (netnsPath === '') throw new DriverError('the engine does not say where the network is', { recoverable: true });
    return { netnsPath, labels: { [HOLDER_LABEL]: Id } };
  } catch (error) {
    throw engineError(error, `network of allocation ${allocId}`, host.place);
  }
}

/** Whether a namespace is mounted there, and not only the file for it. */
async function isNamespace(path: string): Promise<boolean> {
  const [there, own] = await Promise.all([stat(path).catch(() => null), stat('/proc/self/ns/net')]);
  return there?.dev === own.dev;
}

/** Removes an allocation's network. Idempotent. */
export async function removeNetwork({ engine, place }: NetworkHost, allocId: string): Promise<void> {
  try {
    await engine.getContainer(holderName(allocId)).remove({ force: true, v: true });
  } catch (error) {
    if (statusOf(error) !== 404) throw engineError(error, `network of allocation ${allocId}`, place);
  }
}

function holderName(allocId: string): string {
  return `meshnomad-network-${allocId}`;
}

/** Undefined when there is no such container. */
async function isRunning(container: Docker.Container): Promise<boolean | undefined> {
  try {
    return (await container.inspect()).State.Running;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function create(host: NetworkHost, allocId: string, hostname: string): Promise<void> {
  const given = await host.infraImage();
  const image = given === '' ? await ensureHolderImage(host) : given;
  try {
    await host.engine.createContainer({
      name: holderName(allocId),
      Image: image,
      ...(given === '' ? { Cmd: ['/hold', '--hold'] } : {}),
      ...(hostname === '' ? {} : { Hostname: hostname }),
      Labels: { ...host.labels, [ALLOC_LABEL]: allocId, [OWNER_LABEL]: host.stateDir, [NETWORK_LABEL]: allocId },
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        LogConfig: { Type: 'none', Config: {} },
        // After a restart of the engine the group's tasks find it again.
        RestartPolicy: { Name: 'unless-stopped' },
      },
    });
  } catch (error) {
    // Somebody made it at this very moment.
    if (statusOf(error) !== 409) throw given === '' ? error : engineError(error, `infra_image "${given}"`, host.place);
    await sleep(100);
  }
}

/** An image of one static program, which needs no registry. */
async function ensureHolderImage({ engine, stateDir }: NetworkHost): Promise<string> {
  const binary = await findSupervisor(stateDir);
  if ('missing' in binary) {
    const message = `${binary.missing}; or name an image with infra_image in the config of the plugin`;
    throw new DriverError(message, { recoverable: false });
  }
  const program = await readFile(binary.path);
  const tag = createHash('sha256').update(program).digest('hex').slice(0, 12);
  // With a registry of its own, so that no engine looks for it elsewhere.
  const name = `localhost/meshnomad-hold:${tag}`;
  const isThere = await engine
    .getImage(name)
    .inspect()
    .then(
      () => true,
      (error) => {
        if (statusOf(error) === 404) return false;
        throw error;
      },
    );
  if (isThere) return name;
  const { pack } = await import('tar-stream');
  const archive = pack();
  archive.entry({ name: 'hold', mode: 0o755, mtime: new Date(0) }, program);
  archive.finalize();
  const answer = await engine.importImage(archive as unknown as NodeJS.ReadableStream, { repo: name });
  await new Promise<void>((resolve, reject) =>
    engine.modem.followProgress(answer, (error) => (error ? reject(error) : resolve())),
  );
  return name;
}
