"""Writes the many-seed version of a script that differs from qmle_continuous.py in its method.

python benchmark/many_seeds.py ddpg_continuous runs/methods
"""

import pathlib
import re

import data


def pieces(text):
    """Source text of every top-level function and class by its name."""
    parts = text.split("\n\n\n")  # ruff leaves two empty lines around each
    names = [re.search(r"^(?:class|def) (\w+)", part, re.M) for part in parts]
    return {name[1]: part for name, part in zip(names, parts, strict=True) if name}


def many_seeds(method):
    """qmle_continuous_multiseed.py with the functions, networks and further flags of a script."""
    names = ("qmle_continuous_multiseed", "qmle_continuous", method)
    text, base_text, own_text = [(data.ROOT / f"{name}.py").read_text() for name in names]
    seeds, base, own = map(pieces, (text, base_text, own_text))
    for name in own.keys() & base.keys() - {"Args", "sample_uniform"}:  # as the loop uses them
        if seeds.get(name) == base[name]:
            text = text.replace(seeds[name], own[name])
    old, flags = base["Args"].splitlines(), own["Args"].splitlines()
    for line in reversed([x for x in flags if x not in old and ": " in x]):
        text = re.sub(rf"\n{line.split(':')[0]}: .*", "", text)  # another default than the base's
        text = text.replace("class Args:", f"class Args:\n{line}")
    new = [own[name] for name in own if name not in base]
    text = text.replace("def training_loss", "\n\n\n".join([*new, "def training_loss"]))
    imports = [x for x in re.findall("^from .*", own_text, re.M) if x not in text.splitlines()]
    text = text.replace("import tyro", "\n".join(["import tyro", *imports]))
    network = re.search(r"\((QNetwork\(.*?\))\.to", own_text)[1]
    sizes = "sizes = *sizes, args.num_bins"
    if num_bins := re.search(r"num_bins = args.*", own_text):  # AQL's is None or the flag
        text = text.replace(sizes, f"{num_bins[0]}\n    sizes = *sizes, num_bins")
        text = text.replace("args.on_grid * args.num_bins", "num_bins")
    else:
        text = text.replace(sizes, "sizes = *sizes")
    if "exploration_noise_std" in own["Args"]:
        noisy = "actions + args.exploration_noise_std * torch.randn(uniform.shape).numpy()"
        text = text.replace("uniform, actions)", f"uniform, ({noisy}).clip(-1, 1))")
    text = text.replace("QNetwork(*sizes[:3])", network)
    return text.replace('"script": "qmle_continuous"', f'"script": "{method}"')


if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("method", choices=["ddpg_continuous", "qtopt_continuous", "aql_continuous"])
    parser.add_argument("folder", type=pathlib.Path, help="for the file, METHOD_multiseed.py")
    args = parser.parse_args()
    path = args.folder / f"{args.method}_multiseed.py"
    data.write_whole(path, many_seeds(args.method))
