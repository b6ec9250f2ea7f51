# A language model on a graphics card: any card of NVIDIA with 8 GiB, a large one if there is one.

job "gpu" {
  group "model" {
    network {
      port "api" {
        to = 11434
      }
    }

    task "ollama" {
      driver = "docker"

      config {
        image   = "ollama/ollama:0.6.5"
        runtime = "nvidia"
        ports   = ["api"]
      }

      resources {
        cpu        = 2000
        memory     = 4096
        memory_max = 8192

        device "nvidia/gpu" {
          count = 1

          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "8 GiB"
          }

          affinity {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "16 GiB"
            weight    = 75
          }
        }
      }
    }
  }
}
