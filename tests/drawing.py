"""What tests read off a picture."""

import matplotlib as mpl
from matplotlib.animation import AbstractMovieWriter

# No test opens a window.
mpl.use("Agg")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def labelled(ax, name):
    return next(line for line in ax.get_lines() if line.get_label() == name)


class Recorder(AbstractMovieWriter):
    """Looks at the figure once a frame."""

    def __init__(self, look):
        super().__init__(fps=10)
        self.look, self.seen = look, []

    def setup(self, fig, outfile, dpi=None):
        self.fig = fig

    def grab_frame(self, **options):
        self.fig.canvas.draw()
        self.seen.append(self.look(*self.fig.axes))

    def finish(self):
        pass


def recorded(animation, look):
    recorder = Recorder(look)
    animation.save("not written", writer=recorder)
    return recorder.seen
