# The controller half of the EBS plugin: it attaches volumes to machines and detaches them. One is enough; run the node
# half (ebs-nodes.nomad.hcl) beside it on every machine that mounts volumes.

variable "driver_version" {
  description = "Version of the EBS driver; both halves must have the same."
  type        = string
  default     = "v1.38.1"
}

job "ebs-controller" {
  group "controller" {
    task "plugin" {
      driver = "docker"

      config {
        image = "public.ecr.aws/ebs-csi-driver/aws-ebs-csi-driver:${var.driver_version}"

        args = [
          "controller",
          "--endpoint=${CSI_ENDPOINT}",
          "--logtostderr",
          "--v=3",
        ]
      }

      csi_plugin {
        id        = "aws-ebs"
        type      = "controller"
        mount_dir = "/csi"
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
