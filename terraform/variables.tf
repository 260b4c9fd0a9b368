variable "manifest" {
  description = "Path of the manifest, `secrets.yaml`: the file that the services read too."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.manifest)
    error_message = "There is no such file."
  }

  validation {
    condition     = !fileexists(var.manifest) || can(yamldecode(file(var.manifest)))
    error_message = "The manifest is not YAML; see where with `keyturn manifest check FILE`."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete a secret, and with it every version. Only `false`, applied first, lets it."
  type        = bool
  default     = true
  nullable    = false
}

variable "run_services_exist" {
  description = "Whether the Cloud Run services are there, so that the right to invoke them can be given; `false` for an apply before they are first deployed."
  type        = bool
  default     = true
  nullable    = false
}

variable "labels" {
  description = "Labels of everything that can have some; a secret's own in the manifest come before them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "Labels have lower case letters, digits, _ and -, 63 at most; keys begin with a letter."
  }
}

variable "retention" {
  description = "Seconds for which the topic keeps its messages, so that an instance that starts hears what was said before: 21600 (Secret Manager may lag for hours) to 2678400."
  type        = number
  default     = 86400
  nullable    = false

  validation {
    condition     = var.retention >= 21600 && var.retention <= 2678400 && floor(var.retention) == var.retention
    error_message = "Whole seconds from 21600 (six hours) to 2678400 (31 days)."
  }
}
