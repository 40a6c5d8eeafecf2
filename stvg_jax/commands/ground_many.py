"""`stvg-jax ground` for many videos."""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_jax.core.errors import InputError

if TYPE_CHECKING:
    from stvg_jax.core.progress import Progress
    from stvg_jax.grounding.inference.queries import Query
    from stvg_jax.grounding.inference.records import Records

# Messages at the end; all of them are in answers.jsonl.
_MAX_LISTED = 20


def run(args: argparse.Namespace) -> None:
    """Answers all questions that have no answer yet; InputError at the end if some can have none."""
    from stvg_jax.commands.ground import load_grounder
    from stvg_jax.core.progress import Terminal
    from stvg_jax.data_pipeline.language.identification import foreign_warning
    from stvg_jax.devices import tell_device
    from stvg_jax.grounding.inference.answer import check_writable

    _check_options(args)
    load = functools.cache(lambda: load_grounder(args))
    check_writable(args.out)
    queries = _queries_of(args, load)

    from stvg_jax.grounding.inference.many import failure, ground_each
    from stvg_jax.grounding.inference.records import Records
    from stvg_jax.grounding.inference.tube import Tube

    grounder, progress = load(), Terminal()
    tell_device()
    if warning := foreign_warning(list(dict.fromkeys(query.sentence for query in queries))):
        print(warning, file=sys.stderr)
    resolution = args.resolution or grounder.clip_config.resolution
    reading = {"decoder": args.decoder, "allow_partial": args.allow_partial}
    settings = {"model": grounder.fingerprint, "dtype": args.dtype, "resolution": resolution}
    windows = {} if args.window is None else {"window": args.window, "stride": args.stride, "top": args.top}
    warnings: dict[str, None] = {}
    with Records(args.out, settings | windows) as records:
        todo = [query for query in queries if not records.is_done(query, retry=args.retry)]
        with progress.bar("grounding", len(queries), "question", done=len(queries) - len(todo)) as step:
            for query, answer in ground_each(grounder, todo, resolution=resolution, **reading, **windows):
                records.add(query, answer)
                if isinstance(answer, Tube) and answer.warning:
                    warnings[answer.warning] = None
                step()
        failed = {query: InputError(error) for query in queries if (error := records.error(query))}
        print(f"{records.path}: {len(queries) - len(failed):,} of {len(queries):,} questions answered")
        undrawn = _draw(args, records, queries, progress, reading)
    for line in _report(f"{len(warnings):,} clips are longer than those of training", list(warnings)):
        print(line, file=sys.stderr)
    unanswered = list(dict.fromkeys(failure(query, error) for query, error in failed.items()))
    reports = [
        *_report(f"{len(failed):,} of {len(queries):,} questions have no answer (--retry asks again)", unanswered),
        *_report(f"{len(undrawn):,} answers are not drawn", undrawn),
    ]
    if reports:
        raise InputError("\n".join(reports))


def _check_options(args: argparse.Namespace) -> None:
    from stvg_jax.core.arguments import check_part, check_whole
    from stvg_jax.grounding.inference.clip import check_resolution
    from stvg_jax.grounding.inference.windows import check_windows

    if args.fps is not None:
        raise InputError("--fps is for a single folder of pictures; videos have times of their own")
    if args.frames is not None:
        raise InputError("--frames is for a single video; give the part to search in seconds, by --start and --end")
    if args.queries is not None:
        given = {"VIDEO": args.video, "--video": args.videos, "--subject": args.subject}
        given |= {"--start": args.start is not None, "--end": args.end is not None}
        if named := [name for name, value in given.items() if value]:
            raise InputError(f"{named[0]} and --queries do not go together; write it into {args.queries}")
    check_part(args.start, args.end, None)
    check_windows(args.window, args.stride, args.top)
    if args.resolution is not None:
        check_resolution(check_whole("resolution", args.resolution))


def _queries_of(args: argparse.Namespace, load: Any) -> list[Query]:
    """The questions; InputError if one cannot be used, or if drawings would be taken for videos by the next start."""
    from stvg_jax.commands.ground import subjects_of
    from stvg_jax.data_pipeline.video.listing import list_videos
    from stvg_jax.grounding.inference.queries import Query, read_queries

    if args.queries is not None:
        return read_queries(args.queries, lambda query: load().ask([query.sentence], [query.subject]))
    given, out = [args.video, *args.videos], args.out.resolve()
    around = [path for path in given if os.path.isdir(path) and out.is_relative_to(path.resolve())]
    if around and (args.draw or args.cut):
        raise InputError(
            f"--out {args.out} is within {around[0]}, and the next start would search what is drawn; give another --out"
        )
    videos, subjects = list_videos(given), subjects_of(args)
    load().ask(args.sentences, subjects)
    asked = list(zip(args.sentences, subjects, strict=True))
    queries = [Query(str(video), *question, args.start, args.end) for video in videos for question in asked]
    return list(dict.fromkeys(queries))


def _draw(
    args: argparse.Namespace, records: Records, queries: Sequence[Query], progress: Progress, reading: dict[str, Any]
) -> list[str]:
    """Writes what is asked for and missing into a folder for each answer; returns messages about failures."""
    from stvg_jax.core.progress import Silent
    from stvg_jax.grounding.inference.answer import Outputs
    from stvg_jax.grounding.inference.export import file_name

    if not (args.draw or args.cut or args.export):
        return []
    moving = args.draw and not args.no_video
    names = [file_name(format) for format in args.export]
    names += ["tube.png"] * (args.draw or args.cut) + [f"tube.{args.format}"] * moving
    names += [f"cut.{args.format}"] * args.cut
    wanted, problems = set(queries), []
    answered = sum(not records.error(query) for query in wanted)
    with progress.bar("drawing", answered, "answer") as step:
        for query, tube in records.tubes():
            if query not in wanted:
                continue
            folder = args.out / _folder_name(query)
            if not Outputs.has(folder, tube, names):
                try:
                    outputs = Outputs(folder, [query.sentence], Path(query.video))
                    outputs.write(folder, tube, args.export)
                    if args.draw or args.cut:
                        drawing = {"video": moving, "format": args.format, "cut": args.cut}
                        outputs.draw(folder, tube, **drawing, progress=Silent(), **reading)
                except InputError as error:
                    problems.append(str(error))
            step()
    return problems


def _folder_name(query: Query) -> str:
    """Name that does not depend on the other questions."""
    from stvg_jax.grounding.inference.answer import slug

    digest = hashlib.sha256(repr(query).encode()).hexdigest()[:8]
    return f"{slug(Path(query.video).stem)}-{slug(query.sentence)}-{digest}"


def _report(summary: str, messages: Sequence[str]) -> list[str]:
    """Lines about failures, if there are any."""
    more = [f"and {len(messages) - _MAX_LISTED:,} more"] if len(messages) > _MAX_LISTED else []
    return [f"{summary}:", *messages[:_MAX_LISTED], *more] if messages else []
