"""Small environments for the tests, used through ids such as toy_envs:Reach-v0."""

import gymnasium as gym
import numpy as np
from dm_control.rl.control import PhysicsError


class Reach(gym.Env):
    """Move a point in the square [-1, 1]^2 to a goal, for 20 steps; the action's bounds are uneven.

    An action at its middle keeps the point where it is, at a bound it moves it by 0.25 in that
    dimension. The reward is 1 minus the mean distance over the dimensions afterwards, so the best
    policy is known: straight to the goal.
    """

    low, high = np.array([-0.5, 1.0]), np.array([2.0, 1.5])

    def __init__(self):
        self.action_space = gym.spaces.Box(self.low, self.high, dtype=np.float64)
        self.observation_space = gym.spaces.Dict(
            {
                "goal": gym.spaces.Box(-1, 1, (2,), np.float64),
                "point": gym.spaces.Box(-1, 1, (2,), np.float64),
            }
        )

    def observe(self):
        return {"goal": self.goal.copy(), "point": self.point.copy()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal, self.point = self.np_random.uniform(-1, 1, (2, 2))
        return self.observe(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        move = (action - self.low) / (self.high - self.low) * 2 - 1
        self.point = np.clip(self.point + 0.25 * move, -1, 1)
        return self.observe(), 1 - np.abs(self.point - self.goal).mean(), False, False, {}

    @staticmethod
    def best_return(seeds, num_steps=20):
        """Mean return of the best policy over the episodes that start with these seeds."""
        env, returns = Reach(), []
        for seed in seeds:
            env.reset(seed=seed)
            distance = np.abs(env.goal - env.point)
            left = np.maximum(distance - 0.25 * np.arange(1, num_steps + 1)[:, None], 0)
            returns.append((1 - left.mean(1)).sum())
        return np.mean(returns)


class Broken(Reach):
    """Reach, with a reward or an observation replaced from the 30th step on."""

    def __init__(self, reward=None, observation=None):
        super().__init__()
        self.broken_reward, self.broken_observation, self.count = reward, observation, 0

    def step(self, action):
        obs, reward, *rest = super().step(action)
        self.count += 1
        if self.count >= 30:
            reward = reward if self.broken_reward is None else self.broken_reward
            obs["point"][0] = (
                obs["point"][0] if self.broken_observation is None else self.broken_observation
            )
        return obs, reward, *rest


class TwoEndings(gym.Env):
    """Observes (step, episode). Even episodes terminate after 7 steps, odd ones run to 10."""

    action_space = gym.spaces.Box(-1, 1, (1,))
    observation_space = gym.spaces.Box(0, np.inf, (2,))
    episode = -1

    def observe(self):
        return np.array([self.count, self.episode], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.episode = 0, self.episode + 1
        return self.observe(), {}

    def step(self, action):
        self.count += 1
        return (
            self.observe(),
            self.count - 1 + 100 * self.episode,
            self.episode % 2 == 0 and self.count == 7,
            False,
            {},
        )


class Echo(gym.Env):
    """Observes the last three digits of the seed of its first reset, and the last action.

    The reward is that action plus ten times that number. Episodes terminate after 5 to 9 steps, by
    that number.
    """

    action_space = gym.spaces.Box(-1, 1, (2,))
    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,))
    own = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.own, self.count = seed % 1000 if self.own is None else self.own, 0
        return np.array([self.own, 0, 0], np.float32), {}

    def step(self, action):
        self.count += 1
        obs = np.array([self.own, *action], np.float32)
        return obs, float(action[0]) + 10 * self.own, self.count == 5 + self.own % 5, False, {}


class NanReset(TwoEndings):
    """TwoEndings, with an observation at the third reset that is not a number."""

    def reset(self, **kwargs):
        obs, info = super().reset(**kwargs)
        return obs * (np.nan if self.episode == 2 else 1), info


class Combination(gym.Env):
    """Eleven dials of four positions (4^11 joint actions), to be set as the observed symbol asks.

    With x the positions scaled to [0, 1] and d = x - goal(symbol), the reward is
    1 - mean(d^2) - mean |d_i d_{i+1}|: no sum over dials. The best action is the goal and earns 1.
    """

    action_space = gym.spaces.MultiDiscrete([4] * 11)
    observation_space = gym.spaces.Discrete(3)
    goals = np.random.default_rng(0).integers(4, size=(3, 11))

    @classmethod
    def reward(cls, symbol, actions):
        d = (actions - cls.goals[symbol]) / 3
        return 1 - (d**2).mean(-1) - np.abs(d * np.roll(d, 1, -1)).mean(-1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.symbol = int(self.np_random.integers(3))
        return self.symbol, {}

    def step(self, action):
        reward = self.reward(self.symbol, action)
        self.symbol = int(self.np_random.integers(3))
        return self.symbol, float(reward), False, False, {}


class Diverging(Reach):
    """Reach, whose simulation diverges at step 7 of every second episode."""

    episode = -1

    def reset(self, **options):
        self.episode, self.count = self.episode + 1, 0
        return super().reset(**options)

    def step(self, action):
        self.count += 1
        if self.episode % 2 == 1 and self.count == 7:
            raise PhysicsError("Physics state is invalid. Warning(s) raised: mjWARN_BADQACC")
        return super().step(action)


class Arrays(Reach):
    """Reach, with a reward or endings that are arrays of one number."""

    def __init__(self, reward=float, ending=bool):
        super().__init__()
        self.kinds = reward, ending, ending

    def step(self, action):
        obs, *numbers, info = super().step(action)
        return obs, *(kind(x) for kind, x in zip(self.kinds, numbers, strict=True)), info


class Recorder(Reach):
    """Remembers all actions taken in [-1, 1], in the order they came."""

    low, high = np.array([-1.0, -1.0]), np.array([1.0, 1.0])
    actions = []

    def step(self, action):
        self.actions.append(action)
        return super().step(action)


class Spaces(gym.Env):
    """An environment that is only there for its spaces."""

    def __init__(self, action_space, observation_space):
        self.action_space, self.observation_space = action_space, observation_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), 0.0, False, False, {}


box = gym.spaces.Box
vector, images, action = box(-1, 1, (3,)), box(0, 255, (8, 8, 3), np.uint8), box(-1, 1, (2,))
gym.register("TwoEndings-v0", TwoEndings, max_episode_steps=10)
gym.register("Echo-v0", Echo, max_episode_steps=20)
gym.register("NanReset-v0", NanReset, max_episode_steps=10)
gym.register("Combination-v0", Combination, max_episode_steps=10)
gym.register("Recorder-v0", Recorder, max_episode_steps=20)
gym.register("Reach-v0", Reach, max_episode_steps=20)
gym.register("Endless-v0", Reach)
gym.register("Diverging-v0", Diverging, max_episode_steps=20)
array = np.atleast_1d
gym.register("RewardArray-v0", Arrays, max_episode_steps=20, kwargs={"reward": array})
gym.register("EndingArray-v0", Arrays, max_episode_steps=20, kwargs={"ending": array})
gym.register("NanReward-v0", Broken, max_episode_steps=20, kwargs={"reward": np.nan})
gym.register("HugeReward-v0", Broken, max_episode_steps=20, kwargs={"reward": 1e30})
gym.register("HugerReward-v0", Broken, max_episode_steps=20, kwargs={"reward": 3e38})
gym.register(
    "OverflowReward-v0", Broken, max_episode_steps=20, kwargs={"reward": 1e39}
)  # inf as float32
gym.register("NanObservation-v0", Broken, max_episode_steps=20, kwargs={"observation": np.nan})
gym.register(
    "InfObservation-v0", Broken, max_episode_steps=20, kwargs={"observation": 1e300}
)  # inf as float32
for name, action_space, observation_space in (
    ("Unbounded", box(-np.inf, np.inf, (2,)), vector),
    ("IntegerBox", box(0, 5, (2,), np.int64), vector),
    ("MultiDiscrete", gym.spaces.MultiDiscrete([3, 4]), vector),
    ("Start", gym.spaces.Discrete(4, start=-3), vector),
    ("MultiStart", gym.spaces.MultiDiscrete([2, 5], start=[10, -1]), vector),
    ("TupleAction", gym.spaces.Tuple([action, action]), vector),
    ("Image", action, images),
    ("ImageInDict", action, gym.spaces.Dict({"a": vector, "b": images})),
    ("Nested", action, gym.spaces.Dict({"a": vector, "b": gym.spaces.Dict({"c": vector})})),
    ("TextObservation", action, gym.spaces.Text(5)),
    ("DiscreteObservation", action, gym.spaces.Dict({"a": gym.spaces.Discrete(5), "b": vector})),
    ("Bytes", action, box(0, 255, (128,), np.uint8)),
    ("Bodies", action, box(-1, 1, (5, 2, 3))),
    ("MatrixAction", box(-2, 3, (2, 3)), box(-1, 1, (2, 2))),
):
    spaces = {"action_space": action_space, "observation_space": observation_space}
    gym.register(f"{name}-v0", Spaces, max_episode_steps=20, kwargs=spaces)
