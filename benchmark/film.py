"""Makes the moving pictures of docs/media from the trained agents in models/.

    python benchmark/film.py                               all agents, and a strip of them
    MUJOCO_GL=osmesa python benchmark/film.py walker-walk  one, where there is no EGL

The script of an agent plays a greedy episode, recorded as --capture-video does.
"""

import math
import pathlib
import shutil
import subprocess
import sys
import tempfile

import data
import torch
from moviepy import VideoFileClip
from PIL import Image

MODELS, MEDIA = data.ROOT / "models", data.ROOT / "docs" / "media"
START, SECONDS, FPS = 6, 3.5, 20  # the part of an episode, and pictures per second


def play(task):
    """Pictures of a part of an agent's episode, in real time."""
    model = MODELS / task / "model.pt"
    if not model.is_file():
        sys.exit(f"error: there is no {model}")
    script = torch.load(model, map_location="cpu", weights_only=True)["script"]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(model, folder)  # videos are written beside it
        command = [sys.executable, data.ROOT / f"{script}.py", "--evaluate-only", folder]
        command += ["--eval-episodes", "1", "--capture-video"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1]
            sys.exit(f"error: no film of {task} (MUJOCO_GL: egl or osmesa?): {reason}")
        print(task, done.stdout.splitlines()[-1], flush=True)
        path = min(pathlib.Path(folder).glob("videos/*.mp4"))
        with VideoFileClip(str(path)) as clip:
            part = clip.subclipped(START, START + SECONDS)
            return [Image.fromarray(picture) for picture in part.iter_frames(fps=FPS)]


def side_by_side(films, width=960):
    """Films as one, at most four in a row."""
    columns = min(len(films), 4)
    size = width // columns, width // columns * 3 // 4
    shape = columns * size[0], math.ceil(len(films) / columns) * size[1]
    pictures = [Image.new("RGB", shape, "white") for _ in films[0]]
    for i, film in enumerate(films):
        place = i % columns * size[0], i // columns * size[1]
        for picture, shown in zip(pictures, film, strict=True):
            picture.paste(shown.resize(size, Image.Resampling.LANCZOS), place)
    return pictures


def save(pictures, name, most):
    """A looped WebP, at the best quality that has at most so many bytes."""
    path, look = MEDIA / f"{name}.webp", dict(save_all=True, loop=0, duration=1000 // FPS)
    for quality in range(80, 0, -10):
        pictures[0].save(path, append_images=pictures[1:], quality=quality, **look)
        if (size := path.stat().st_size) <= most:
            return print(f"{path}: {size:,} bytes, quality {quality}")
    sys.exit(f"error: {path} has {size:,} bytes, expected at most {most:,}")


if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("tasks", nargs="*", help="folders of models/; default: all")
    args = parser.parse_args()
    tasks = args.tasks or sorted(path.parent.name for path in MODELS.glob("*/model.pt"))
    films = [play(task) for task in tasks]
    MEDIA.mkdir(exist_ok=True)
    for task, film in zip(tasks, films, strict=True):
        save(side_by_side([film], 480), task, 1_000_000)
    if not args.tasks:
        save(side_by_side(films), "agents", 2_500_000)
