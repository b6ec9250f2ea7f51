import t from 'tap';
import { loadAgentConfig } from '../../lib/agent/config/index.js';
import { settingsFromConfig } from '../../lib/agent/from-config.js';

async function settings(source: string, dev = true) {
  const loaded = loadAgentConfig({ files: [{ name: 'f', source }], flags: {}, dev });
  if (!loaded.ok) throw new Error('the configuration is not right');
  return settingsFromConfig(loaded.value.config, { version: '0' });
}

t.test('limits of jobs, the scheduler’s first configuration and the events kept are the file’s', async (t) => {
  const made = await settings(`server {
    job_max_priority = 200
    job_default_priority = 60
    job_max_count = 1000
    job_max_source_size = "2MiB"
    enable_event_broker = false
    default_scheduler_config {
      scheduler_algorithm = "spread"
      node_limit_for_feasibility_checks = 20
      preemption_config { service_scheduler_enabled = true }
    }
  }`);
  if (!made.ok) throw new Error(made.error);
  t.match(made.value.server, {
    jobs: { priorityMax: 200, defaultPriority: 60, countMax: 1000, sourceBytesMax: 2 * 1024 * 1024 },
    scheduler: {
      SchedulerAlgorithm: 'spread',
      NodeLimitForFeasibilityChecks: 20,
      PreemptionConfig: { ServiceSchedulerEnabled: true },
    },
    eventBufferSize: 0,
  });
});

t.test('limits that cannot be are refused with the key and what it may be', async (t) => {
  const made = await settings(`
    server {
      job_max_priority = 50
      job_default_priority = 60
      job_max_count = 0
      job_max_source_size = "big"
    }
    client {
      artifact { http_max_size = "large" }
    }`);
  t.equal(made.ok, false);
  for (const pattern of [
    /server\.job_default_priority must lie between 1 and job_max_priority, 50, not 60/,
    /server\.job_max_count must be 1 at least, not 0/,
    /server\.job_max_source_size: "big" is no size/,
    /client\.artifact\.http_max_size: "large" is no size/,
  ]) {
    t.match(made.ok ? '' : made.error, pattern);
  }
});

t.test('an agent without a role is told so, and what else is wrong', async (t) => {
  const made = await settings('data_dir = "/d"\nplugin "dokcer" {}\nplugin "docker" { config { volums {} } }', false);
  const error = made.ok ? '' : made.error;
  t.match(error, /has nothing to do/);
  t.match(error, /f:2,\d+-\d+: plugin dokcer: is no plugin that exists.*did you mean "docker"\?/);
  t.match(error, /f:3,\d+-\d+: plugin docker\.volums: is not a known key; did you mean "volumes"\?/);
});
