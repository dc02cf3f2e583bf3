"""What crosses a service boundary: frozen structs, one file per owning service. What stays inside a service is not here."""
