"""Fuzzing: every reader of files from outside meets damaged and hostile ones.

    python -m tests.fuzz.run                                  # the targets
    python -m tests.fuzz.run torch-zip --seconds 60 --seed 0  # one of them
    python -m tests.fuzz.run torch-zip --repeat tests/fuzz/failures/torch-zip-1234abcd

A target is a reader with sound inputs and ways to damage them (`targets`, `mutations`). A worker process reads one
input after the other under watch (`worker`): each must give a result or an InputError of bounded, printable text,
within 2 s of CPU time and 1 GB of memory, and must run nothing and touch no file outside the folders it was given.
`engine` chooses the inputs: the same seed gives the same ones. An input that comes to a new end joins those that are
damaged further. With `--engine atheris` libFuzzer chooses them, by coverage (`pip install atheris`, for Linux).
"""
