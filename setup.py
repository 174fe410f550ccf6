"""What pyproject.toml cannot say: data/ is installed as squeeze_utils/_data.

So the reference records travel with the package, and a notebook that was opened alone, on Colab
say, still shows the reference results. Everything else stands in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["squeeze_utils", "squeeze_utils.*"]), "squeeze_utils._data"],
    package_dir={"squeeze_utils._data": "data"},
)
