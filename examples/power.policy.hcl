# Machines of the node pool "gpu" sleep while nobody needs them, and wake for the work that waits for them. A file for the policy
# directory of the servers: autoscaler { policy_dir = "/etc/meshnomad.d/policies" }
scaling "gpu" {
  min = 0
  max = 2

  policy {
    cooldown = "10m"

    check "wanted" {
      # Machines that have work, and one more while some waits.
      query = "wanted"

      strategy "pass-through" {
      }
    }

    target "power" {
      node_pool = "gpu"
      # What one machine draws awake less asleep, for the estimate of what its sleep saves.
      watts = "60"
    }
  }
}
