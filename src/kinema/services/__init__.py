"""The services. Each can run alone (`kinema serve NAME`) or share a process; none imports another: they speak by rpc."""
