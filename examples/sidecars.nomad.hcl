# One group, five tasks: what has to be done before the main task, beside it, right after its start, and after its end.

job "sidecars" {
  group "web" {
    network {
      port "http" {
        to = 80
      }
    }

    # Ends before the web server starts; what it leaves in the shared folder is served.
    task "fetch" {
      driver = "docker"

      lifecycle {
        hook = "prestart"
      }

      config {
        image   = "busybox:1.37"
        command = "sh"
        args    = ["-c", "echo 'It works.' > /alloc/data/index.html"]
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }

    # Runs as long as the web server, and before it.
    task "clock" {
      driver = "docker"

      lifecycle {
        hook    = "prestart"
        sidecar = true
      }

      config {
        image   = "busybox:1.37"
        command = "sh"
        args    = ["-c", "while true; do date > /alloc/data/time.txt; sleep 1; done"]
      }

      resources {
        cpu    = 20
        memory = 16
      }
    }

    # The main task: when it ends, the sidecars end too.
    task "server" {
      driver = "docker"
      leader = true

      config {
        image = "nginx:1.27"
        ports = ["http"]

        mount {
          type   = "bind"
          source = "../alloc/data"
          target = "/usr/share/nginx/html"
        }
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }

    # Once, when the web server runs.
    task "announce" {
      driver = "docker"

      lifecycle {
        hook = "poststart"
      }

      config {
        image   = "busybox:1.37"
        command = "echo"
        args    = ["serving on ${NOMAD_ADDR_http}"]
      }

      resources {
        cpu    = 20
        memory = 16
      }
    }

    # Once, when everything else has ended.
    task "farewell" {
      driver = "docker"

      lifecycle {
        hook = "poststop"
      }

      config {
        image   = "busybox:1.37"
        command = "sh"
        args    = ["-c", "ls -l /alloc/data"]
      }

      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
