import type { DeviceReservation } from '../../plugin/sdk/device.js';
import { type HookContext, HookError, taskHook } from './hook.js';

/** The devices that the scheduler gave to the task: environment, mounts, device nodes, and names for the engine. */
export const devicesHook = taskHook('devices', {
  async prestart(context) {
    const { alloc, task, draft, state, reattach } = context;
    const devices = alloc.AllocatedResources.Tasks[task.Name]?.Devices ?? [];
    if (devices.length === 0) return;
    // A running task has what it was started with, whatever was plugged in or out since.
    const kept = reattach ? (state.get() as DeviceReservation | null) : null;
    const reservation = kept ?? (await reserve(context, devices));
    if (!kept) state.put(reservation);
    draft.mounts.push(...reservation.mounts);
    draft.deviceNodes.push(...reservation.deviceNodes);
    draft.cdiDevices.push(...reservation.cdiDevices);
    Object.assign(draft.values.env, reservation.env);
  },
});

async function reserve(
  { client, signal }: HookContext,
  devices: Parameters<HookContext['client']['devices']['reserve']>[0],
): Promise<DeviceReservation> {
  try {
    return await client.devices.reserve(devices, signal);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    // Not counted as a restart: another node may have what is gone here.
    throw new HookError(`failed to reserve devices: ${why}`, { recoverable: false, cause });
  }
}
