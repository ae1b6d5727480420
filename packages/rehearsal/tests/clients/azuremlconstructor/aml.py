from azureml.core import Run
from data_loader import folder, numbers

run = Run.get_context()
run.parent.log("sum", int(numbers["x"].sum()))
print(folder)
