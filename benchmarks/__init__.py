"""What the kit costs, measured: ``python -m benchmarks --help``.

A part is a module with a constant ``PART`` (`benchmarks.part.Part`), listed in
`benchmarks.__main__`. One that compares apps in-process needs only its cases
(`benchmarks.inprocess.InProcess`); `benchmarks.stack` is the example to copy.
"""
