import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import { DriverError, type DriverPlugin } from '../../lib/plugin/sdk/driver.js';
import { EngineDriver } from '../driver-docker/driver.js';
import type { EngineKind } from '../driver-docker/engine.js';
import { decodePodman, PLUGIN_FIELDS } from './config.js';

/** What is Podman's own among the engines that speak Docker's API. */
const PODMAN: EngineKind = {
  name: 'podman',
  title: 'Podman service',
  endpointVariable: '',
  defaultEndpoint: 'unix:///run/podman/podman.sock',
  service: 'podman.socket',
  namesEach: true,
  decode: decodePodman,
};

/** Runs containers on Podman, through the part of its API that is Docker's. */
const plugin: DriverPlugin = {
  name: 'podman',
  configProblems(config) {
    const decoded = decodeFields(PLUGIN_FIELDS, config);
    return 'problems' in decoded ? decoded.problems : [];
  },
  create(options) {
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    const { socket_path, socket: _, recover_stopped: __, ...config } = decoded.config;
    return new EngineDriver(PODMAN, { ...config, endpoint: socket_path, tls: null, infra_image_labels: {} }, options);
  },
};
export default plugin;
