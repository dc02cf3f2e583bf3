"""What holds for every test: generated examples are judged by their outcome, never by how busy the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile("kinema", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kinema")
