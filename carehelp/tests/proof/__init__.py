"""The proof of turns: real processes, phones that lose their connection, and what is left of it.

`python -m carehelp.tests.proof.turns` runs it in full; `carehelp/tests/test_proof.py` in small.
"""
