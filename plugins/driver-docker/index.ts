import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import { DriverError, type DriverPlugin } from '../../lib/plugin/sdk/driver.js';
import { decodeTask, PLUGIN_FIELDS } from './config.js';
import { EngineDriver } from './driver.js';
import type { EngineKind } from './engine.js';
import { pluginProblems } from './plugin-problems.js';

/** What is Docker's own among the engines that speak its API. */
export const DOCKER: EngineKind = {
  name: 'docker',
  title: 'Docker Engine',
  endpointVariable: 'DOCKER_HOST',
  defaultEndpoint: 'unix:///var/run/docker.sock',
  service: 'docker',
  holdsTasks: true,
  seeksPlugins: true,
  namesEach: false,
  wait: (containerId) => ({ path: `/containers/${containerId}/wait` }),
  decode: decodeTask,
};

/** Runs containers on a Docker Engine. */
const plugin: DriverPlugin = {
  name: 'docker',
  configProblems: pluginProblems,
  create(options) {
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    return new EngineDriver(DOCKER, decoded.config, options);
  },
};
export default plugin;
