import { stat } from 'node:fs/promises';
import type { HostConfig } from 'dockerode';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';

/** What a container is given of the machine's devices. */
export interface GivenDevices {
  Devices: NonNullable<HostConfig['Devices']>;
  DeviceRequests: NonNullable<HostConfig['DeviceRequests']>;
  GroupAdd: string[];
}

/**
 * The devices that were reserved for a task: their nodes, the groups that own these (a container's user that is not root opens
 * none otherwise), and their names where the engine knows the Container Device Interface.
 */
export async function givenDevices(
  { deviceNodes, cdiDevices }: Pick<TaskConfig, 'deviceNodes' | 'cdiDevices'>,
  engine: { hasCdi: boolean },
): Promise<GivenDevices> {
  const groups = new Set<string>();
  for (const { hostPath } of deviceNodes) {
    const found = await stat(hostPath).catch(() => undefined);
    if (found && found.gid !== 0) groups.add(String(found.gid));
  }
  return {
    Devices: deviceNodes.map(({ hostPath, taskPath, permissions }) => ({
      PathOnHost: hostPath,
      PathInContainer: taskPath,
      CgroupPermissions: permissions,
    })),
    DeviceRequests: engine.hasCdi && cdiDevices.length > 0 ? [{ Driver: 'cdi', DeviceIDs: [...cdiDevices] }] : [],
    GroupAdd: [...groups],
  };
}
