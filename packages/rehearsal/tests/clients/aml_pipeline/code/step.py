import argparse

from azureml.core import Run

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
Run.get_context().log("rate", parser.parse_args().rate)
