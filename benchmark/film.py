"""Makes the moving pictures of docs/media from the trained agents in models/.

python benchmark/film.py    (all agents and a strip of six; without EGL: docs/reproduce.md)
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
SECONDS, FPS = 3.5, 20
PARTS = {"dog-walk": (11.25, 0), "fish-swim": (8.5, 0), "quadruped-walk": (6, 2)}  # second, camera
STRIP = "walker-run cheetah-run hopper-hop quadruped-walk dog-walk fish-swim".split()


def play(task):
    """Pictures of a part of an agent's episode, in real time."""
    model, (start, camera) = MODELS / task / "model.pt", PARTS.get(task, (6, 0))
    if not model.is_file():
        sys.exit(f"error: there is no {model}")
    script = torch.load(model, map_location="cpu", weights_only=True)["script"]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(model, folder)  # videos are written beside it
        copy = pathlib.Path(folder, f"{script}.py")
        start_of, rest = (data.ROOT / copy.name).read_text().split("camera_id=0")
        copy.write_text(f"{start_of}camera_id={camera}{rest}")
        flags = f"--evaluate-only {folder} --eval-episodes 1 --capture-video".split()
        output = subprocess.check_output([sys.executable, copy, *flags], text=True)
        print(task, output.splitlines()[-1], flush=True)
        path = min(pathlib.Path(folder).glob("videos/*.mp4"))
        with VideoFileClip(str(path)) as clip:
            part = clip.subclipped(start, start + SECONDS)
            return [Image.fromarray(picture) for picture in part.iter_frames(fps=FPS)]


def side_by_side(films, width=960):
    """Films as one, at most three in a row."""
    columns = min(len(films), 3)
    wide, high = width // columns, width // columns * 3 // 4
    shape = columns * wide, math.ceil(len(films) / columns) * high
    pictures = [Image.new("RGB", shape, "white") for _ in films[0]]
    for i, film in enumerate(films):
        place = i % columns * wide, i // columns * high
        for picture, shown in zip(pictures, film, strict=True):
            picture.paste(shown.resize((wide, high), Image.Resampling.LANCZOS), place)
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
    films = {}
    for task in args.tasks or sorted(path.parent.name for path in MODELS.glob("*/model.pt")):
        films[task] = play(task)
        save(side_by_side([films[task]], 480), task, 1_000_000)
    if not args.tasks:
        save(side_by_side([films[task] for task in STRIP]), "agents", 2_500_000)
