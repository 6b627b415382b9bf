"""What is known of the broker's clock."""

import pytest

from streams.broker_clock import BrokerClock


class Hands:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def clock(hands: Hands) -> BrokerClock:
    return BrokerClock(wall=lambda: 5_000.0, monotonic=hands)


def test_until_the_first_acknowledgement_the_wall_clock_is_believed(clock: BrokerClock, hands: Hands) -> None:
    hands.at += 7
    assert clock.now() == 5_007.0


@pytest.mark.parametrize("step", [-3600.0, -1.0, 1.0, 3600.0])
def test_an_acknowledgement_corrects_it_in_either_direction(clock: BrokerClock, hands: Hands, step: float) -> None:
    sent = hands.at
    hands.at += 0.02
    assert clock.heard(5_000.01 + step, sent)
    assert clock.now() == pytest.approx(5_000.01 + step, abs=0.021)


def test_a_message_that_is_read_tells_that_so_much_has_passed(clock: BrokerClock) -> None:
    assert not clock.heard(4_000.0)
    assert clock.now() == 5_000.0, "an old message says nothing"
    assert clock.heard(6_000.0)
    assert clock.now() == 6_000.0


def test_what_an_acknowledgement_takes_is_no_step(clock: BrokerClock, hands: Hands) -> None:
    sent = hands.at
    hands.at += 4.0
    assert not clock.heard(5_003.0, sent)
    assert clock.now() == 5_004.0, "the broker may have stamped it at any moment between the two"
