# A web page in a container. `npm run demo` makes the image (busybox and nothing else) and runs this job.

job "hello" {
  type = "service"

  group "web" {
    count = 1

    network {
      # A free port of the machine, mapped to 8080 in the container.
      port "http" {
        to = 8080
      }
    }

    update {
      health_check     = "task_states"
      min_healthy_time = "1s"
      healthy_deadline = "1m"
    }

    task "server" {
      driver = "docker"

      config {
        image   = "meshnomad-hello:local"
        ports   = ["http"]
        command = "/bin/busybox"
        args = ["sh", "-c", <<-EOT
          /bin/busybox mkdir -p /www
          echo "<h1>Hello from $NOMAD_TASK_NAME, allocation $NOMAD_SHORT_ALLOC_ID</h1>" > /www/index.html
          exec /bin/busybox httpd -f -p 8080 -h /www
        EOT
        ]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
