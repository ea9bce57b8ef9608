"""HTTP protocol layer: middleware, entity tags, paging, JSON, metrics, tracing."""
