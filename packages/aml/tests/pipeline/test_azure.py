"""A pipeline on a rehearsal's cluster: submitted, followed, stopped and gone on with, whatever happens on the way."""

import pytest

from pipeline.cloud_pipeline import Piper


def test_a_pipeline_on_the_cluster(piper: Piper) -> None:
    done = piper.pipeline("--debug")
    print(done.out, done.err)
    assert done.code == 0, done.err
    assert 0
