"""`python -m tfrobustloss` is the command `tfrobustloss`."""

import sys

from tfrobustloss.cli import main

if __name__ == "__main__":
    sys.exit(main())
