"""How a process shows what it does: the /metrics page, reports to the telemetry service, OpenTelemetry, objectives and alerts."""
