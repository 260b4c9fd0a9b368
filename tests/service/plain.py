"""The service of `app.py` as one starts it while developing: by itself."""

import os
import sys

from tests.service.app import create_app


app = create_app()

if __name__ == "__main__":
    watched = os.environ.get("TEST_WATCHED")
    app.run(port=int(sys.argv[1]), debug=watched is not None, extra_files=[watched or ""], reloader_interval=0.1)
