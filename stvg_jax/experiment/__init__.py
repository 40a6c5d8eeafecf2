"""Where configurations, models, data, training and evaluation meet."""
