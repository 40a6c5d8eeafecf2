"""Rules about English, the language of the models: cleaning, subjects, attributes, left and right, identification."""
