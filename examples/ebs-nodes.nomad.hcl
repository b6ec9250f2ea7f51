# The node half of the EBS plugin: it mounts attached volumes, so it runs on every machine, and with privileges, for its
# mounts must be seen outside its container. The docker plugin of the agent has to allow that (allow_privileged = true).

variable "driver_version" {
  description = "Version of the EBS driver; both halves must have the same."
  type        = string
  default     = "v1.38.1"
}

job "ebs-nodes" {
  type = "system"

  group "nodes" {
    task "plugin" {
      driver = "docker"

      config {
        image      = "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:${var.driver_version}"
        privileged = true

        args = [
          "node",
          "--endpoint=${CSI_ENDPOINT}",
          "--logtostderr",
          "--v=3",
        ]
      }

      csi_plugin {
        id        = "aws-ebs"
        type      = "node"
        mount_dir = "/csi"
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
