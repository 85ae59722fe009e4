"""The pages of a process over HTTP: /metrics, /healthz, /readyz, /status."""
