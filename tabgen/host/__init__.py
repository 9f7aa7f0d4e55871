"""The generator's process: what it runs, how the evaluator talks to it, and environments of its own.

A generator never shares a process with the model, the metrics, or rows that it must not see. What runs in a host
needs pandas, pyarrow and pluggy only, so that it can be another interpreter.
"""
