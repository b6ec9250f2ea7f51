# MySQL with its data on a CSI volume: the volume follows the database to whatever machine it runs on. The volume must
# be known first (see ebs-controller.nomad.hcl), and the password must be in the variable nomad/jobs/mysql.

job "mysql" {
  group "mysql" {
    volume "data" {
      type            = "csi"
      source          = "mysql"
      access_mode     = "single-node-writer"
      attachment_mode = "file-system"

      mount_options {
        fs_type = "ext4"
      }
    }

    network {
      port "db" {
        to = 3306
      }
    }

    service {
      name     = "mysql"
      port     = "db"
      provider = "nomad"

      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    # A database that dies is better looked at than moved about.
    restart {
      attempts = 5
      interval = "10m"
      delay    = "30s"
      mode     = "delay"
    }

    task "server" {
      driver = "docker"

      config {
        image = "mysql:8.4"
        ports = ["db"]
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/mysql"
      }

      template {
        destination = "${NOMAD_SECRETS_DIR}/mysql.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/mysql" }}
          MYSQL_ROOT_PASSWORD={{ .root_password }}
          {{ end }}
        EOT
      }

      # Time to write everything to the disk.
      kill_timeout = "30s"

      resources {
        cpu    = 500
        memory = 1024
      }
    }
  }
}
