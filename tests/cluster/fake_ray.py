"""Ray's calls in this process."""

from concurrent.futures import Future

from pixelwise.errors import InputError


class FakeRay:
    """Runs calls when they are waited for; workers end as the test says."""

    class exceptions:  # noqa: N801 - as in Ray
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            def __init__(self, cause):
                super().__init__(str(cause))
                self.cause = cause

    def __init__(self, dies=lambda ask, *given: False):
        self.dies, self.kept, self.most, self.killed = dies, {}, 0, 0

    def put(self, thing):
        return thing

    def remote(self, kind):
        outer = self

        class Actor:
            def options(self, **_):
                return self

            def remote(self):
                return Hand(outer, kind())

        return Actor()

    def wait(self, refs, num_returns, timeout):
        self.most = max(self.most, len(refs))
        return refs[:num_returns], refs[num_returns:]

    def get(self, ref, timeout=None):
        return ref.run()

    def kill(self, hand):
        self.killed += 1


class Hand:
    def __init__(self, ray, worker):
        self.ray, self.worker, self.dead = ray, worker, False

    def __getattr__(self, ask):
        hand = self

        class Call:
            def remote(self, *given):
                return Ref(hand, ask, given)

        return Call()


class Ref:
    def __init__(self, hand, ask, given):
        self.hand, self.ask, self.given = hand, ask, given

    def run(self):
        ray = self.hand.ray
        if self.hand.dead or ray.dies(self.ask, *self.given):
            self.hand.dead = True
            raise ray.exceptions.RayError("The actor died")
        try:
            return getattr(self.hand.worker, self.ask)(*self.given)
        except InputError as error:
            raise ray.exceptions.RayTaskError(error) from error
        except SystemExit as error:
            self.hand.dead = True
            raise ray.exceptions.RayError("The actor died") from error

    def future(self):
        found = Future()
        try:
            found.set_result(self.run())
        except Exception as error:
            found.set_exception(error)
        return found
