"""Rules about English, which the models read: cleaning, subjects, attributes, left and right, other languages."""
