"""The part of the build that setup.cfg cannot say: an accelerator that may fail to compile."""

import sys

from setuptools import Extension, setup

# Before Python 3.11 the stable ABI has no buffers; there it is built for that one version.
IS_STABLE = sys.version_info >= (3, 11)

setup(
    ext_modules=[
        Extension(
            "faye_sync._speedups",
            ["faye_sync/_speedups.c"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if IS_STABLE else [],
            py_limited_api=IS_STABLE,
            extra_compile_args=["-O3"],
            # Without a compiler the same work is done in Python.
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if IS_STABLE else {},
)
