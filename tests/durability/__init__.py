"""Whether what was counted survives: kills at any instant, disks that refuse, files that are spoilt."""
