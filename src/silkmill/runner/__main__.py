"""`python -I -S <package>/runner/__main__.py`: there is no site-packages, so the package finds itself."""

import sys
from os.path import abspath, dirname

sys.path.insert(0, dirname(dirname(dirname(abspath(__file__)))))

from silkmill.runner.main import main

main(sys.argv[1:])
