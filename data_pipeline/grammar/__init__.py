"""A small grammar of English, for `data_pipeline.subject`."""
