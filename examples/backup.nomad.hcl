# A dump of a database every night at half past three, and one more on Sundays at noon. A dump that still runs is not
# overtaken by the next.

variable "keep_days" {
  description = "How long a dump is kept."
  type        = number
  default     = 14

  validation {
    condition     = var.keep_days >= 1
    error_message = "A dump must be kept for a day at least."
  }
}

job "backup" {
  type = "batch"

  periodic {
    crons            = ["30 3 * * *", "0 12 * * 0"]
    time_zone        = "Europe/Berlin"
    prohibit_overlap = true
  }

  group "dump" {
    volume "backups" {
      type   = "host"
      source = "backups"
    }

    restart {
      attempts = 2
      interval = "1h"
      delay    = "1m"
      mode     = "fail"
    }

    task "dump" {
      driver = "docker"

      config {
        image   = "mariadb:11.4"
        command = "bash"
        args    = ["-euo", "pipefail", "/local/dump.sh"]
      }

      volume_mount {
        volume      = "backups"
        destination = "/backups"
      }

      template {
        destination = "local/dump.sh"
        change_mode = "noop"
        perms       = "0755"
        data        = <<-EOT
          {{ range nomadService "mariadb" }}
          mariadb-dump --host={{ .Address }} --port={{ .Port }} --all-databases | gzip > "/backups/$(date +%F-%H).sql.gz"
          {{ end }}
          find /backups -name '*.sql.gz' -mtime +${var.keep_days} -delete
        EOT
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/client.env"
        env         = true
        change_mode = "noop"
        data        = "{{ with nomadVar \"nomad/jobs/backup\" }}MYSQL_PWD={{ .password }}{{ end }}"
      }

      resources {
        cpu    = 300
        memory = 256
      }
    }
  }
}
