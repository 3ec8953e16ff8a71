# SPDX-License-Identifier: MIT
"""A matplotlib backend that keeps what a script draws: each `show` saves all open figures and
closes them, as a user would; what is open at the end is saved then.  Durations that a script
writes into its titles are taken out.

Used by tests/scripts/gallery.py as MPLBACKEND=module://pybridge_gallery_backend, in native
runs and through the bridge alike; PYBRIDGE_GALLERY is the folder of the pictures.
"""

import atexit
import os

from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvas
from matplotlib.backends.backend_agg import FigureManagerBase as FigureManager
from matplotlib.text import Text
from pybridge_gallery_text import normal

__all__ = ["FigureCanvas", "FigureManager"]
_saved = 0


def show(*args, **kwargs):
    global _saved
    for manager in Gcf.get_all_fig_managers():
        _saved += 1
        path = os.path.join(os.environ["PYBRIDGE_GALLERY"], "%03d.png" % _saved)
        for text in manager.canvas.figure.findobj(Text):
            said = text.get_text()
            if normal(said) != said:
                text.set_text(normal(said))
        manager.canvas.figure.savefig(path, dpi=60)
        Gcf.destroy(manager)


atexit.register(show)
