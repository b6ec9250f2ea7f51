# Two small models on one graphics card: each asks for a part of its memory, not for the whole card.

job "gpu-shared" {
  group "models" {
    task "embed" {
      driver = "docker"

      config {
        image   = "ollama/ollama:0.6.5"
        runtime = "nvidia"
      }

      resources {
        cpu    = 500
        memory = 2048

        device "nvidia/gpu" {
          memory = 4096
        }
      }
    }

    task "rerank" {
      driver = "docker"

      config {
        image   = "ollama/ollama:0.6.5"
        runtime = "nvidia"
      }

      resources {
        cpu    = 500
        memory = 2048

        device "nvidia/gpu" {
          share = 25
        }
      }
    }
  }
}
