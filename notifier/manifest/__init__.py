"""The commands that look at manifests; what a manifest is stands in `receiver.manifest`."""
