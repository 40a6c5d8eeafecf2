"""Defaults of target-aware queries in TubeDETR and STCAT, which their released models are without."""

QUERIES = {
    "queries": "zero",
    "appearance_words": 15,
    "sampling_threshold": 0.7,
    "second_pass": False,
    "actioness_threshold": 0.5,
    "oracle": False,
    "subject_with_queries": True,
}
QUERY_LOSSES = {"appearance_sampling": 1.0, "appearance_attributes": 1.0}
