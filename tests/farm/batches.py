"""What a store holds, as tests ask for it: a farm goes by its input instead."""

from itertools import islice


def pending(batch, after, most):
    """The first tasks above `after` that have no outcome: what the next process is to do."""
    done = {each.id for each in batch.outcomes(after, batch.accepted_count)}
    left = (number for number in range(after + 1, batch.accepted_count) if number not in done)
    payloads = ((number, batch.payload(number)) for number in left)
    return list(islice((one for one in payloads if one[1] is not None), most))


def outcome_count(batch):
    """How many outcomes the facts of the batch say there are."""
    return batch._head.outcomes
