# Redis as a service that other jobs find by name. How many clients it takes is read from the variable nomad/jobs/redis;
# when that changes, Redis starts anew.

job "redis" {
  group "cache" {
    network {
      port "redis" {
        to = 6379
      }
    }

    service {
      name     = "redis"
      port     = "redis"
      provider = "nomad"
      tags     = ["cache"]

      check {
        name     = "accepts connections"
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"

        check_restart {
          limit = 3
          grace = "30s"
        }
      }
    }

    # A move to another machine takes what is cached along, when it can.
    ephemeral_disk {
      size    = 300
      migrate = true
    }

    task "redis" {
      driver = "docker"

      config {
        image = "redis:7"
        ports = ["redis"]
        args  = ["redis-server", "/local/redis.conf"]
      }

      template {
        destination = "local/redis.conf"
        data        = <<-EOT
          dir /alloc/data
          {{ with nomadVar "nomad/jobs/redis" }}maxclients {{ .max_clients }}{{ end }}
        EOT
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
