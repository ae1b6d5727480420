import nni

parameters = nni.get_next_parameter()
nni.report_intermediate_result(parameters["x"])
nni.report_final_result((parameters["x"] - 1) ** 2)
