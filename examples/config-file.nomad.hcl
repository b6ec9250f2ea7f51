# A web server whose page and settings come from elsewhere: a file that is fetched, a variable, and a template that is rendered again
# when the variable changes.
#
#   meshnomad var put nomad/jobs/config-file title="My machines"
#   meshnomad job run examples/config-file.nomad.hcl
job "config-file" {
  group "web" {
    network {
      port "http" {}
    }

    # What the task writes to its data directory goes along when the group moves to another machine.
    ephemeral_disk {
      migrate = true
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "exec busybox httpd -f -p $NOMAD_PORT_http -h $NOMAD_TASK_DIR/site"]
      }

      artifact {
        source      = "https://raw.githubusercontent.com/necolas/normalize.css/8.0.1/normalize.css"
        destination = "local/site"
      }

      template {
        data = <<EOT
<!doctype html>
<link rel="stylesheet" href="normalize.css">
<h1>{{ with nomadVar "nomad/jobs/config-file" }}{{ .title }}{{ end }}</h1>
<p>Rendered for {{ env "NOMAD_ALLOC_NAME" }} in {{ env "NOMAD_DC" }} at {{ timestamp }}.</p>
EOT

        destination = "local/site/index.html"
        change_mode = "noop"
      }
    }
  }
}
