"""Small environments for the tests, with ids such as toy_envs:Reach-v0."""

import gymnasium as gym
import numpy as np
import torch
from dm_control.rl.control import PhysicsError


class Reach(gym.Env):
    """Move a point in [-1, 1]^2 to a goal in 20 steps; the reward is 1 - the mean distance."""

    low, high = np.array([-0.5, 1.0]), np.array([2.0, 1.5])

    def __init__(self):
        self.action_space = gym.spaces.Box(self.low, self.high, dtype=np.float64)
        space = gym.spaces.Box(-1, 1, (2,), np.float64)
        self.observation_space = gym.spaces.Dict({"goal": space, "point": space})

    def observe(self):
        return {"goal": self.goal.copy(), "point": self.point.copy()}

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.goal, self.point = self.np_random.uniform(-1, 1, (2, 2))
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        move = (action - self.low) / (self.high - self.low) * 2 - 1
        self.point = np.clip(self.point + 0.25 * move, -1, 1)
        return self.observe(), 1 - np.abs(self.point - self.goal).mean(), False, False, {}

    @classmethod
    def best_return(cls, seed):
        """Return of the best policy in the episode that starts with this seed."""
        env = cls()
        env.reset(seed=seed)
        left = np.abs(env.goal - env.point) - 0.25 * np.arange(1, 21)[:, None]
        return (1 - left.clip(0).mean(1)).sum()


class Broken(Reach):
    """Reach, with a reward or an observation replaced from step 30 on."""

    def __init__(self, observation=0, reward=0):
        super().__init__()
        self.broken, self.count = (observation, reward), 0

    def step(self, action):
        obs, reward, *rest = super().step(action)
        self.count += 1
        if self.count >= 30:
            obs["point"][0], reward = self.broken
        return obs, reward, *rest


class Diverging(Reach):
    """Diverges at step 7 of every second episode; rewards and endings are arrays of one number."""

    episode = -1

    def reset(self, **options):
        self.episode, self.count = self.episode + 1, 0
        return super().reset(**options)

    def step(self, action):
        self.count += 1
        if self.episode % 2 == 1 and self.count == 7:
            raise PhysicsError("Physics state is invalid. Warning(s) raised: mjWARN_BADQACC")
        obs, *numbers, info = super().step(action)
        return obs, *(np.array([number]) for number in numbers), info


class Neural(Reach):
    def __init__(self):
        super().__init__()
        torch.nn.Linear(64, 64)(torch.randn(8192, 64))  # starts the threads of PyTorch


class Echo(gym.Env):
    """Observes digits of its first seed, episode, step, action; the reward is their sum.

    Even episodes terminate after 5 to 9 steps, odd ones run to 10.
    """

    action_space = gym.spaces.Box(-1, 1, (2,))
    observation_space = gym.spaces.Box(-np.inf, np.inf, (5,))
    own, episode = None, -1

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.own = seed % 1000 if self.own is None else self.own
        self.count, self.episode = 0, self.episode + 1
        return np.array([self.own, self.episode, 0, 0, 0], np.float32), {}

    def step(self, action):
        self.count += 1
        obs = np.array([self.own, self.episode, self.count, *action], np.float32)
        terminated = self.episode % 2 == 0 and self.count == 5 + self.own % 5
        return obs, float(obs.sum()), terminated, False, {}


class Combination(gym.Env):
    """Eleven dials (4^11 joint actions) to set as the observed symbol asks."""

    action_space = gym.spaces.MultiDiscrete([4] * 11)
    observation_space = gym.spaces.Discrete(3)
    goals = np.random.default_rng(0).integers(4, size=(3, 11))

    @classmethod
    def reward(cls, symbol, actions):
        d = (actions - cls.goals[symbol]) / 3
        return 1 - (d**2).mean(-1) - np.abs(d * np.roll(d, 1, -1)).mean(-1)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.symbol = int(self.np_random.integers(3))
        return self.symbol, {}

    def step(self, action):
        reward = float(self.reward(self.symbol, action))
        return self.reset()[0], reward, False, False, {}


class Recorder(Reach):
    low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    actions = []

    def step(self, action):
        self.actions.append(action)
        return super().step(action)


class Spaces(gym.Env):
    def __init__(self, actions, observations):
        self.action_space, self.observation_space = actions, observations

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.action = action
        return self.observation_space.sample(), 0.0, False, False, {}


for env in (Combination, Echo, Recorder, Reach, Diverging, Neural):
    num_steps = 10 if env in (Combination, Echo) else 20
    gym.register(f"{env.__name__}-v0", env, max_episode_steps=num_steps)
gym.register("Endless-v0", Reach)
values = {"NanReward": np.nan, "HugeReward": 1e30, "NanObservation": np.nan}
for name, value in (values | {"OverflowReward": 1e39}).items():  # inf as float32
    kwargs = {"observation" if "Obs" in name else "reward": value}
    gym.register(f"{name}-v0", Broken, max_episode_steps=20, kwargs=kwargs)
box = gym.spaces.Box
vector = box(-1, 1, (3,))
low, high = np.array([[-1.0, 0.0], [-0.8, 5.0]]), np.array([[1.1, 4.0], [0.8, 6.0]])
mixed = {"a": gym.spaces.Discrete(5), "b": gym.spaces.Dict({"c": vector})}
mixed |= {"bytes": box(0, 255, (28,), np.uint8), "bodies": box(-1, 1, (5, 2, 3))}
for name, actions, *observations in (
    ("Unbounded", box(-np.inf, np.inf, (2,))),
    ("Start", gym.spaces.Discrete(4, start=-3)),
    ("MultiStart", gym.spaces.MultiDiscrete([2, 5], start=[10, -1])),
    ("MixedObservation", vector, gym.spaces.Dict(mixed)),
    ("MatrixAction", box(-2, 3, (2, 3)), box(-1, 1, (2, 2))),
    ("UnevenAction", box(low, high, dtype=np.float64)),
):
    kwargs = {"actions": actions, "observations": [*observations, vector][0]}
    gym.register(f"{name}-v0", Spaces, max_episode_steps=20, kwargs=kwargs)
