"""Makes variants that have no flag: patched copies of qmle_continuous_multiseed.py.

    python benchmark/patch.py double-softmax runs/patched

open_details.sh says what they do. clipped-double-q, for figure_3_why.sh: a second Q learns the same
target, and the value of the action found is the smaller of both (Fujimoto et al. 2018, Eq. 10).
"""

import pathlib
import sys

import data

SCRIPT = "qmle_continuous_multiseed.py"

SECOND_Q = """class QNetwork(QNetwork):
    def __init__(self, obs_size, action_size, num_bins):
        super().__init__(obs_size, action_size, num_bins)
        self.second_action_stream = nn.Sequential(
            nn.Linear(action_size, 128), nn.LayerNorm(128), nn.ELU()
        )
        self.second_joint = nn.Sequential(
            ResidualBlock(256), nn.LayerNorm(256), nn.ELU(), nn.Linear(256, 1)
        )

    def second_q(self, features, actions):
        action_features = self.second_action_stream(actions.unsqueeze(1)).squeeze(1)  # (B, 128)
        return self.second_joint(torch.cat([features, action_features], dim=1)).squeeze(1)  # (B,)


class ReplayMemory"""

PATCHES = {  # text that occurs once -> what takes its place
    "grid-half": {
        "    cdf = logits.softmax": """\
    grid = sample_uniform((batch_size, round(num_uniform / 2), action_size), num_bins, device)
    uniform = torch.cat([grid, uniform[:, grid.shape[1] :]], dim=1)
    cdf = logits.softmax""",
    },
    "grid-all": {"args.on_grid * num_bins, device": "num_bins, device"},
    "stored-target": {"(mode, logits, a_max)\n    metrics": "(mode, logits, stored)\n    metrics"},
    "double-softmax": {"F.cross_entropy(logits": "F.cross_entropy(logits.softmax(-1)"},
    "clipped-double-q": {
        "class ReplayMemory": SECOND_Q,
        "        target = td_target(": """\
        next_values = torch.minimum(next_values, target_network.second_q(features, a_max))
        target = td_target(""",
        "    td_loss = (weights * td_errors**2).mean()\n": """\
    td_loss = (weights * td_errors**2).mean()
    second = q_network.second_q(q_network.obs_stream(obs), actions)
    td_loss = td_loss + (weights * (target - second) ** 2).mean()
""",
    },
}

if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("name", choices=PATCHES)
    parser.add_argument("folder", type=pathlib.Path, help="for the patched copy")
    args = parser.parse_args()
    text = (data.ROOT / SCRIPT).read_text()
    for before, after in PATCHES[args.name].items():
        if text.count(before) != 1:
            sys.exit(f"error: {SCRIPT} has {text.count(before)} times {before!r}, expected once")
        text = text.replace(before, after)
    data.write_whole(args.folder / SCRIPT, text)  # another launcher's job may be reading it
