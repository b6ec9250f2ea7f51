# One on every Linux machine, now and on those that join later.

job "load" {
  type = "system"

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }

  group "report" {
    task "report" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "while true; do echo \"$MACHINE: $(cat /proc/loadavg)\"; sleep 10; done"]
      }

      env {
        # Known to the machine that runs the task, not to the one that reads this file.
        MACHINE = "${node.unique.name}"
      }

      logs {
        max_files     = 2
        max_file_size = 1
      }

      resources {
        cpu    = 10
        memory = 16
      }
    }
  }
}
