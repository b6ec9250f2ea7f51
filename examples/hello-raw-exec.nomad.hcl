# The same page without a container: a process of the machine itself, on the port that was found for it.
# raw_exec is enabled in `meshnomad agent -dev`, otherwise by enabled = true in the config block of
# plugin "raw_exec" in the agent's config.

job "hello" {
  type = "service"

  group "web" {
    network {
      port "http" {}
    }

    update {
      health_check     = "task_states"
      min_healthy_time = "1s"
      healthy_deadline = "1m"
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "node"
        args = ["-e", <<-EOT
          const { NOMAD_PORT_http: port, NOMAD_TASK_NAME: task, NOMAD_SHORT_ALLOC_ID: id } = process.env;
          const page = '<h1>Hello from ' + task + ', allocation ' + id + '</h1>\n';
          const answer = (_, response) => response.setHeader('content-type', 'text/html').end(page);
          require('node:http').createServer(answer).listen(port, () => console.log('listening on ' + port));
        EOT
        ]
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
