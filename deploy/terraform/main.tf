# A replication through Terraform's AWS provider: only the endpoint of DMS is another one.
#
#   export TF_VAR_source_password=... TF_VAR_target_password=...
#   export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...      # a pair of the daemon's file
#   terraform init && terraform apply
#
# What was tried of this, and how: docs/guide/terraform.md

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

variable "penstock_url" {
  description = "Where the daemon serves its API."
  type        = string
  default     = "http://127.0.0.1:8628"
}

variable "source_password" {
  type      = string
  sensitive = true
}

variable "target_password" {
  type      = string
  sensitive = true
}

provider "aws" {
  region = "us-east-1" # as `region` of the daemon's file

  # There is no AWS behind this provider: nothing but DMS is asked for.
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true

  endpoints {
    dms = var.penstock_url
  }
}

resource "aws_dms_endpoint" "source" {
  endpoint_id   = "shop-source"
  endpoint_type = "source"
  engine_name   = "postgres"
  server_name   = "db.example.com"
  port          = 5432
  database_name = "shop"
  username      = "penstock_reader"
  password      = var.source_password
  ssl_mode      = "require"
}

resource "aws_dms_endpoint" "target" {
  endpoint_id   = "shop-target"
  endpoint_type = "target"
  engine_name   = "postgres"
  server_name   = "reports.example.com"
  port          = 5432
  database_name = "shop"
  username      = "penstock_writer"
  password      = var.target_password
  ssl_mode      = "require"
}

resource "aws_dms_replication_config" "shop" {
  replication_config_identifier = "shop"
  resource_identifier           = "shop"
  replication_type              = "full-load-and-cdc"
  source_endpoint_arn           = aws_dms_endpoint.source.endpoint_arn
  target_endpoint_arn           = aws_dms_endpoint.target.endpoint_arn
  start_replication             = true

  compute_config {
    min_capacity_units = 1
    max_capacity_units = 4
    # The provider demands it, and there is no network of a cloud to group: any name will do.
    replication_subnet_group_id = "penstock"
  }

  table_mappings = jsonencode({
    rules = [{
      rule-type   = "selection"
      rule-id     = "1"
      rule-name   = "everything"
      rule-action = "include"
      object-locator = {
        schema-name = "public"
        table-name  = "%"
      }
    }]
  })

  replication_settings = jsonencode({
    Logging = {
      EnableLogging = true
    }
    FullLoadSettings = {
      TargetTablePrepMode = "DO_NOTHING"
    }
  })
}

output "replication_arn" {
  value = aws_dms_replication_config.shop.arn
}
