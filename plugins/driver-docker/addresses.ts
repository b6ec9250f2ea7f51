import type Docker from 'dockerode';
import type { TaskAddress, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import type { DockerConfig } from './config.js';

/** The engines' own bridges: reached from their node only. */
const OWN_BRIDGES = ['bridge', 'podman'];

type Networks = Record<string, { IPAddress: string; GlobalIPv6Address: string }>;

/** The address that the engine gave a container on one of its networks; null: none, or it cannot say now. */
export async function addressOf(
  container: Pick<Docker.Container, 'inspect'>,
  { config, network }: Pick<TaskConfig<DockerConfig>, 'config' | 'network'>,
): Promise<TaskAddress | null> {
  const mode = config.network_mode;
  if (['host', 'none'].includes(mode) || /^(container|task):/.test(mode) || (mode === '' && network)) return null;
  const found = await container.inspect().catch(() => null);
  return chooseAddress((found?.NetworkSettings.Networks ?? {}) as Networks, config.advertise_ipv6_address);
}

/** Of several networks the first that has an address. */
export function chooseAddress(networks: Networks, isIpv6: boolean): TaskAddress | null {
  for (const [name, { IPAddress, GlobalIPv6Address }] of Object.entries(networks)) {
    const ip = isIpv6 ? GlobalIPv6Address : IPAddress;
    if (ip) return { ip, advertise: isIpv6 || !OWN_BRIDGES.includes(name) };
  }
  return null;
}
