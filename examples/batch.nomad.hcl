# Work that ends: three runs side by side, each tried again twice when it fails.

variable "words" {
  type    = string
  default = "one two three"
}

job "count-words" {
  type = "batch"

  group "count" {
    count = 3

    restart {
      attempts = 2
      interval = "1m"
      delay    = "5s"
      mode     = "fail"
    }

    task "count" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo \"run $NOMAD_ALLOC_INDEX: $WORDS\" | wc -w"]
      }

      env {
        WORDS = var.words
      }

      resources {
        cpu    = 20
        memory = 16
      }
    }
  }
}
