"""Server of `stvg-jax serve`: a page, and an HTTP API, that ground sentences in videos."""
