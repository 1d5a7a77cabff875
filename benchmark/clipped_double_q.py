"""The variant clipped-double-q of figure_3_why.sh: qmle_continuous_multiseed.py with a second Q and their minimum.

    python benchmark/clipped_double_q.py qmle_continuous_multiseed.py runs/patched/clipped/qmle_continuous_multiseed.py

The experiment asks whether over-estimation is what keeps a task from being learnt. A second Q learns the same target,
and the value of the action found is the smaller of both (Fujimoto et al. 2018, Eq. 10); the search asks the first one.
Unlike theirs the second Q is not a network of its own: it has own layers after the observation stream, which both share
and both train, so that their errors are less independent. The other weights at the start are those of the script. Of
the metrics, td_loss is the sum for both, and refresh_gain the smaller value minus the first Q's.
"""

import pathlib
import sys

CHANGES = {
    """            nn.Unflatten(-1, (action_size, num_bins)),  # logits, one softmax per action dimension
        )
""": """            nn.Unflatten(-1, (action_size, num_bins)),  # logits, one softmax per action dimension
        )
        self.second_action_stream = nn.Sequential(nn.Linear(action_size, 128), nn.LayerNorm(128), nn.ELU())
        second = (ResidualBlock(256), nn.LayerNorm(256), nn.ELU(), nn.Linear(256, 1))
        self.second_joint = nn.Sequential(*second)

    def second_q(self, features, actions):
        action_features = self.second_action_stream(actions.unsqueeze(1)).squeeze(1)  # (B, 128)
        return self.second_joint(torch.cat([features, action_features], dim=1)).squeeze(1)  # (B,)
""",
    "        target = td_target(": (
        "        next_values = torch.minimum(next_values, target_network.second_q(features, a_max))\n"
        "        target = td_target("
    ),
    """    td_loss = q_loss(weights, td_errors)
""": """    td_loss = q_loss(weights, td_errors)
    td_loss = td_loss + q_loss(weights, target - q_network.second_q(q_network.obs_stream(obs), actions))
""",
}

if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:])
    text = source.read_text()
    for before, after in CHANGES.items():
        if text.count(before) != 1:
            sys.exit(f"error: {source} has {text.count(before)} times {before!r}, expected once")
        text = text.replace(before, after)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")  # a job of another launcher may be reading target
    temporary.write_text(text)
    temporary.replace(target)
