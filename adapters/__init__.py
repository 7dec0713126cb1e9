"""The only files that import vendors' SDKs; each implements one port of `activities.ports`."""
