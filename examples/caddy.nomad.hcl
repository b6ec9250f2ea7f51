# Caddy in front of everything that is registered with the tag "web": it takes the ports 80 and 443 of one machine, and
# keeps its certificates in a folder of it.

locals {
  domain = "home.example"
}

job "caddy" {
  # Where the router sends the ports to.
  constraint {
    attribute = "${meta.ingress}"
    value     = "true"
  }

  group "proxy" {
    volume "certificates" {
      type   = "host"
      source = "caddy"
    }

    network {
      port "http" {
        static = 80
      }

      port "https" {
        static = 443
      }
    }

    service {
      name     = "caddy"
      port     = "https"
      provider = "nomad"

      check {
        type     = "http"
        port     = "http"
        path     = "/health"
        interval = "15s"
        timeout  = "3s"
      }
    }

    task "caddy" {
      driver = "docker"

      config {
        image        = "caddy:2"
        network_mode = "host"
        ports        = ["http", "https"]
        args         = ["caddy", "run", "--config", "/local/Caddyfile"]
      }

      volume_mount {
        volume      = "certificates"
        destination = "/data"
      }

      # A new list of services is taken over without a restart.
      template {
        destination   = "local/Caddyfile"
        change_mode   = "script"
        data          = <<-EOT
          http://:80/health {
            respond "ok"
          }
          {{ range nomadServices }}{{ if .Tags | contains "web" }}
          {{ .Name }}.${local.domain} {
            reverse_proxy{{ range nomadService .Name }} {{ .Address }}:{{ .Port }}{{ end }}
          }
          {{ end }}{{ end }}
        EOT

        change_script {
          command       = "/usr/bin/caddy"
          args          = ["reload", "--config", "/local/Caddyfile"]
          timeout       = "10s"
          fail_on_error = false
        }
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
