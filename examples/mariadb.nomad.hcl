# MariaDB with its data in a folder of the machine. The agent's configuration names the folder:
#
#   client {
#     host_volume "mariadb" {
#       path = "/srv/mariadb"
#     }
#   }

variable "root_password" {
  description = "Password of root, for a first start with an empty folder."
  type        = string
  default     = "change-me"
  sensitive   = true
}

job "mariadb" {
  group "mariadb" {
    volume "data" {
      type   = "host"
      source = "mariadb"
    }

    network {
      port "db" {
        to = 3306
      }
    }

    # Two servers on one folder would destroy it: the old one has to be gone before the new one starts.
    update {
      max_parallel = 1
      canary       = 0
    }

    task "server" {
      driver = "docker"

      config {
        image = "mariadb:11.4"
        ports = ["db"]
      }

      env {
        MARIADB_ROOT_PASSWORD = var.root_password
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/mysql"
      }

      kill_timeout = "30s"

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
