from azure_helper.steps.train import TrainingLoopExample
from azureml.core import Run

loop = TrainingLoopExample(Run.get_context(), "flowers", "flowers", "kind", "flowers")
x_train, y_train, x_test, y_test = loop.prepare_data()
model = loop.train_model(x_train, y_train)
loop.evaluate_model(model, x_test, y_test)
loop.register_model(loop.save_model(model))
