/** The file that `job init` writes when it gets no other name. */
export const INIT_FILENAME = 'example.nomad.hcl';

/** What `job init` writes: a first job with the blocks that most jobs have, and what each is for. */
export const INIT_JOB = `# A job is what you want to run. Start it with: meshnomad job run ${INIT_FILENAME}
job "example" {
  # "service" keeps running, "batch" ends, "system" runs once on every machine.
  type = "service"

  # Which machines may run it: globs of datacenter names, and constraints on what is known of a machine
  # (\`meshnomad node status -verbose -self\` shows all of it).
  datacenters = ["*"]

  # constraint {
  #   attribute = "\${attr.kernel.name}"
  #   value     = "linux"
  # }

  # How a new version replaces the old one: this many at a time, each healthy for a while before the next.
  update {
    max_parallel      = 1
    min_healthy_time  = "10s"
    healthy_deadline  = "3m"
    progress_deadline = "10m"
    auto_revert       = false
    canary            = 0
  }

  # A group is placed on one machine as a whole; \`count\` of them run.
  group "cache" {
    count = 1

    network {
      # A free port of the machine, which leads to 6379 in the container. Tasks find it in NOMAD_PORT_db.
      port "db" {
        to = 6379
      }
    }

    # Restarts on the same machine; when these are used up, another machine is looked for.
    restart {
      attempts = 2
      interval = "30m"
      delay    = "15s"
      mode     = "fail"
    }

    # Space for the tasks' files and logs.
    ephemeral_disk {
      size = 300
    }

    # A task is one container (docker) or one process of the machine (raw_exec).
    task "redis" {
      driver = "docker"

      config {
        image = "redis:7"
        ports = ["db"]
      }

      # env {
      #   KEY = "value"
      # }

      # MHz and MB.
      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
`;

/** What `job init -short` writes. */
export const INIT_JOB_SHORT = `job "example" {
  group "cache" {
    network {
      port "db" {
        to = 6379
      }
    }

    task "redis" {
      driver = "docker"

      config {
        image = "redis:7"
        ports = ["db"]
      }

      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
`;
