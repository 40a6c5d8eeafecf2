"""Pre-training for the generated dataset, whose models cannot start from released backbones and encoders."""
