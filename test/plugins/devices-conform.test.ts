import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import drm from '../../plugins/device-drm/index.js';
import nvidia from '../../plugins/device-nvidia/index.js';
import usb from '../../plugins/device-usb/index.js';
import { deviceConformance } from '../conformance/device.js';
import { layHostTree, renderTree, usbTree } from '../support/host-tree.js';
import { ROOT } from '../support/mesh-agent.js';

deviceConformance('nvidia', {
  plugin: nvidia,
  config(t) {
    const root = layHostTree(t, { 'dev/nvidia0': '', 'dev/nvidia1': '', 'dev/nvidiactl': '' });
    const nvidia_smi = join(root, 'nvidia-smi');
    const data = join(ROOT, 'test/plugins/data/nvidia');
    writeFileSync(
      nvidia_smi,
      `#!/bin/sh\n[ "$1" = -L ] && exec cat ${data}/v12-mig-list.txt\ncat ${data}/v12-mig.xml\n`,
    );
    chmodSync(nvidia_smi, 0o755);
    return { root, nvidia_smi };
  },
  misspelt: { wrong: 'ignored_gpu_id', right: 'ignored_gpu_ids' },
});

deviceConformance('drm', {
  plugin: drm,
  config: (t) => ({
    root: layHostTree(
      t,
      renderTree({
        address: '0000:03:00.0',
        ids: ['1002', '73bf'],
        driver: 'amdgpu',
        render: 128,
        card: 0,
        files: { gpu_busy_percent: '3' },
      }),
      renderTree({ address: '0000:04:00.0', ids: ['1002', '73bf'], driver: 'amdgpu', render: 129, card: 1 }),
    ),
  }),
  misspelt: { wrong: 'ignored_id', right: 'ignored_ids' },
});

deviceConformance('usb', {
  plugin: usb,
  config: (t) => ({
    root: layHostTree(
      t,
      usbTree({
        port: '1-1',
        id: ['10c4', 'ea60'],
        names: ['ITEAD', 'A/B stick'],
        number: 2,
        interfaces: [['ff', 'cp210x', 'ttyUSB0']],
        byId: 'usb-x',
      }),
      usbTree({ port: '1-2', id: ['1a6e', '089a'], number: 3, interfaces: [['fe', '', '']] }),
    ),
  }),
  misspelt: { wrong: 'exclud', right: 'exclude' },
});
